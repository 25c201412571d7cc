/* libFuzzer: answers of etcd's v2 API. The first byte chooses the HTTP status. */
#include "etcd/v2_codec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long statuses[] = { 200, 201, 400, 401, 403, 404, 412, 500, 503 };
	struct v2_answer answer;
	char text[VERDICT_TEXT], *body;
	enum verdict_kind kind;

	if (size == 0)
		return 0;
	/* As http.c hands it over: with a NUL behind it. */
	body = malloc(size);
	memcpy(body, data + 1, size - 1);
	body[size - 1] = '\0';
	kind = v2_classify(statuses[data[0] % 9], body, size - 1, &answer, text);
	if (kind == VERDICT_OK && (answer.node.value == NULL || answer.node.modified <= 0))
		abort();
	if (kind != VERDICT_OK && text[0] == '\0')
		abort();
	v2_answer_free(&answer);
	free(body);
	return 0;
}
