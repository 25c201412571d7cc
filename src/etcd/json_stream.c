#include "etcd/json_stream.h"

#include <stdio.h>

static bool
is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

int
json_stream_feed(struct json_stream *stream, const char *bytes, size_t len, size_t limit)
{
	return strbuf_append(&stream->pending, bytes, len, limit);
}

/* Looks at one more byte. Returns true where it ends an object. */
static bool
scan_byte(struct json_stream *stream, char byte)
{
	if (stream->in_string) {
		if (stream->escaped)
			stream->escaped = false;
		else if (byte == '\\')
			stream->escaped = true;
		else if (byte == '"')
			stream->in_string = false;
		return false;
	}
	if (byte == '"')
		stream->in_string = true;
	else if (byte == '{' || byte == '[')
		stream->depth++;
	else if (byte == '}' || byte == ']')
		return stream->depth > 0 && --stream->depth == 0;
	return false;
}

int
json_stream_next(struct json_stream *stream, json_t **object, json_error_t *error)
{
	struct strbuf *pending = &stream->pending;
	size_t blank = 0;

	if (stream->scanned == 0) {
		while (blank < pending->len && is_blank(pending->data[blank]))
			blank++;
		strbuf_consume(pending, blank);
		if (pending->len > 0 && pending->data[0] != '{') {
			snprintf(error->text, sizeof(error->text), "a '{' was expected");
			return -1;
		}
	}
	while (stream->scanned < pending->len) {
		if (scan_byte(stream, pending->data[stream->scanned++])) {
			*object = json_loadb(pending->data, stream->scanned, JSON_REJECT_DUPLICATES, error);
			strbuf_consume(pending, stream->scanned);
			stream->scanned = 0;
			return *object == NULL ? -1 : 1;
		}
	}
	return 0;
}

void
json_stream_reset(struct json_stream *stream)
{
	strbuf_free(&stream->pending);
	*stream = (struct json_stream){ 0 };
}
