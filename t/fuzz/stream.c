/* libFuzzer: the splitter of watch streams. Where a stream is cut, which the first byte says, must not matter. */
#include "etcd/json_stream.h"
#include "etcd/v3_codec.h"

#include <stdbool.h>
#include <stdlib.h>

#define LIMIT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came of a stream. */
struct result {
	json_t *objects;
	bool failed;
};

static void
take_objects(struct json_stream *stream, struct result *result)
{
	struct v3_watch_message message;
	json_error_t error;
	json_t *object;
	int got;

	while ((got = json_stream_next(stream, &object, &error)) == 1) {
		(void)v3_decode_watch(object, &message);
		json_array_append_new(result->objects, object);
	}
	result->failed = got == -1;
}

/* Splits SIZE bytes of DATA that come in pieces of PIECE bytes. */
static struct result
split(const char *data, size_t size, size_t piece)
{
	struct json_stream stream = { 0 };
	struct result result = { .objects = json_array() };

	for (size_t at = 0; at < size && !result.failed; at += piece) {
		size_t len = size - at < piece ? size - at : piece;

		if (json_stream_feed(&stream, data + at, len, LIMIT) == -1)
			result.failed = true;
		else
			take_objects(&stream, &result);
	}
	json_stream_reset(&stream);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, pieces;

	/* Above the limit it does matter: what has been taken out does not count. */
	if (size == 0 || size > LIMIT)
		return 0;
	whole = split((const char *)data + 1, size - 1, size);
	pieces = split((const char *)data + 1, size - 1, data[0] + 1U);
	if (whole.failed != pieces.failed || !json_equal(whole.objects, pieces.objects))
		abort();
	json_decref(whole.objects);
	json_decref(pieces.objects);
	return 0;
}
