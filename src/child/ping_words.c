#include "child/ping_words.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t
ping_line(bool node, int64_t number, char line[PING_LINE])
{
	return (size_t)snprintf(line, PING_LINE, node ? "{\"ping\":%" PRId64 "}\n" : "%" PRId64 "\n", number);
}

static enum ping_answer
answer_of_node(const json_t *message, int64_t *number)
{
	const json_t *pong = json_object_get(message, "pong");
	const char *cmd = json_string_value(json_object_get(message, "cmd"));

	if (cmd != NULL && strcmp(cmd, "NODE_HANDLE") == 0)
		return PING_HANDLE;
	if (pong == NULL || (cmd != NULL && strncmp(cmd, "NODE_", 5) == 0))
		return PING_OTHER;
	if (!json_is_integer(pong))
		return PING_WRONG;
	*number = json_integer_value(pong);
	return PING_PONG;
}

static enum ping_answer
answer_of_program(const char *line, size_t len, int64_t *number)
{
	char text[PING_LINE], *end;

	if (len == 0 || len >= sizeof(text) || line[0] < '0' || line[0] > '9')
		return PING_WRONG;
	memcpy(text, line, len);
	text[len] = '\0';
	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno == 0 && end == text + len ? PING_PONG : PING_WRONG;
}

enum ping_answer
ping_answer(bool node, const char *line, size_t len, int64_t *number)
{
	enum ping_answer answer;
	json_t *message;

	if (!node)
		return answer_of_program(line, len, number);
	/* Any JSON value is a message; only an object can be ours. */
	message = json_loadb(line, len, JSON_DECODE_ANY, NULL);
	if (message == NULL)
		return PING_WRONG;
	answer = answer_of_node(message, number);
	json_decref(message);
	return answer;
}
