/* libFuzzer: unary answers of etcd's v3 API, through everything that decodes them. */
#include "lock/v3/v3_messages.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct v3_names names;
	struct v3_queue queue;
	struct v3_grant grant;
	struct v3_move move;
	struct v3_watch_message message;
	struct v3_event event;
	char text[VERDICT_TEXT], *body;
	const char *token;
	bool succeeded;
	json_t *answer;
	int64_t ttl;

	if (v3_names_init(&names, "/lock", "id", 0x1234) == -1)
		return 0;
	/* As http.c hands it over: with a NUL behind it. */
	body = malloc(size + 1);
	memcpy(body, data, size);
	body[size] = '\0';
	v3_classify(size % 2 ? 200 : 404, body, size, &answer, text);
	if (answer != NULL) {
		for (int txn = 0; txn < 2; txn++)
			if (v3_decode_queue(answer, &names, txn, &queue) == NULL)
				v3_queue_free(&queue);
		(void)v3_decode_grant(answer, &grant);
		(void)v3_decode_keepalive(answer, &ttl);
		(void)v3_decode_time_left(answer, &ttl);
		(void)v3_decode_mark(answer, &ttl);
		(void)v3_decode_guarded(answer, &succeeded, &ttl);
		if (v3_decode_token(answer, &token) == NULL && strpbrk(token, "\r\n ") != NULL)
			abort();
		if (v3_decode_move(answer, &move) == NULL)
			v3_kv_free(&move.kv);
		if (v3_decode_watch(answer, &message) == NULL)
			for (size_t i = 0; i < message.events; i++)
				if (v3_decode_event(answer, i, &event) == NULL)
					v3_event_free(&event);
	}
	json_decref(answer);
	free(body);
	v3_names_free(&names);
	return 0;
}
