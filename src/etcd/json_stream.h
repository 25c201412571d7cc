/* Cuts a stream of bytes into JSON objects. etcd's watch is such a stream: newlines and chunk boundaries mean
 * nothing in it (etcd 3.2 sends no newline at all). */
#ifndef ETCD_JSON_STREAM_H
#define ETCD_JSON_STREAM_H

#include "base/strbuf.h"

#include <jansson.h>
#include <stdbool.h>

struct json_stream {
	struct strbuf pending;
	size_t scanned; /* bytes of PENDING that were looked at */
	unsigned depth; /* open braces and brackets */
	bool in_string, escaped;
};

/* Append LEN bytes. Returns 0, or -1 with errno EMSGSIZE (one object is longer than LIMIT) or ENOMEM. */
__attribute__((warn_unused_result)) int
json_stream_feed(struct json_stream *stream, const char *bytes, size_t len, size_t limit);

/* The next whole object into *OBJECT: a new reference. Returns 1, 0 where none is complete yet, or -1 and a
 * sentence in ERROR where the bytes are no JSON object. */
__attribute__((warn_unused_result)) int
json_stream_next(struct json_stream *stream, json_t **object, json_error_t *error);

/* Forget everything, for a new stream. */
void json_stream_reset(struct json_stream *stream);

#endif
