/* libFuzzer: the splitter of watch streams, in pieces whose length the first byte says. */
#include "lock/json_stream.h"
#include "lock/v3_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_stream stream = { 0 };
	struct v3_watch_message message;
	json_error_t error;
	json_t *object;
	size_t piece = size > 0 ? data[0] + 1U : 1;

	for (size_t at = 1; at < size; at += piece) {
		size_t len = size - at < piece ? size - at : piece;
		int got;

		if (json_stream_feed(&stream, (const char *)data + at, len, 4096) == -1)
			break;
		while ((got = json_stream_next(&stream, &object, &error)) == 1) {
			(void)v3_decode_watch(object, &message);
			json_decref(object);
		}
		if (got == -1)
			break;
	}
	json_stream_reset(&stream);
	return 0;
}
