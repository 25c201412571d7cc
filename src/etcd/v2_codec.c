#include "etcd/v2_codec.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "net/http.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Error codes of the v2 API (etcd's error.go). */
enum {
	ERROR_KEY_NOT_FOUND = 100,
	ERROR_TEST_FAILED = 101,
	ERROR_NODE_EXISTS = 105,
	ERROR_UNAUTHORIZED = 110,
	ERROR_RAFT = 300, /* from here on the cluster's trouble, not ours */
	ERROR_EVENT_CLEARED = 401
};

/* As etcd's v3 has it; v2 has no limit. */
#define TTL_MAX INT64_C(9000000000)

/* TEXT with what has a meaning in a URL escaped; a slash stays where SLASHES. */
static char *
escape(const char *text, bool slashes)
{
	char *escaped = malloc(3 * strlen(text) + 1), *out = escaped;

	if (escaped == NULL)
		return NULL;
	for (; *text != '\0'; text++) {
		const char c = *text;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c) != NULL || (c == '/' && slashes);

		if (plain)
			*out++ = c;
		else
			out += sprintf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
	*out = '\0';
	return escaped;
}

/* The path of KEY and QUERY. */
__attribute__((format(printf, 2, 3))) static char *
path_of(const char *key, const char *format, ...)
{
	char *escaped = escape(key, true), *path = NULL, query[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(query, sizeof(query), format, arguments);
	va_end(arguments);
	if (escaped != NULL)
		path = str_printf("/v2/keys%s%s?%s", escaped[0] == '/' ? "" : "/", escaped, query);
	free(escaped);
	return path;
}

/* PATH, which it takes, with VALUE as its field NAME. */
static char *
with_value(char *path, const char *name, const char *value)
{
	char *escaped = escape(value, false), *whole = NULL;

	if (path != NULL && escaped != NULL)
		whole = str_printf("%s&%s=%s", path, name, escaped);
	free(path);
	free(escaped);
	return whole;
}

char *
v2_encode_create(const char *key, const char *value, int64_t ttl_s)
{
	return with_value(path_of(key, "prevExist=false&ttl=%" PRId64, ttl_s), "value", value);
}

/* PATH, which it takes, for where the value is VALUE: etcd compares with no empty one. */
static char *
if_value(char *path, const char *value)
{
	return value[0] == '\0' ? path : with_value(path, "prevValue", value);
}

char *
v2_encode_refresh(const char *key, const char *value, int64_t index, int64_t ttl_s)
{
	char *path = path_of(key, "prevExist=true&prevIndex=%" PRId64 "&ttl=%" PRId64 "&refresh=true", index, ttl_s);

	return if_value(path, value);
}

char *
v2_encode_read(const char *key)
{
	return path_of(key, "quorum=true");
}

char *
v2_encode_wait(const char *key, int64_t index)
{
	return path_of(key, "wait=true&waitIndex=%" PRId64, index);
}

char *
v2_encode_delete(const char *key, const char *value, int64_t index)
{
	char *path = path_of(key, "prevIndex=%" PRId64, index);

	return if_value(path, value);
}

static enum verdict_kind
kind_of_error(json_int_t code)
{
	switch (code) {
	case ERROR_KEY_NOT_FOUND:
		return VERDICT_NO_KEY;
	case ERROR_TEST_FAILED:
		return VERDICT_MISMATCH;
	case ERROR_NODE_EXISTS:
		return VERDICT_KEY_EXISTS;
	case ERROR_UNAUTHORIZED:
		return VERDICT_UNAUTHENTICATED;
	case ERROR_EVENT_CLEARED:
		return VERDICT_OUTDATED;
	default:
		return code >= ERROR_RAFT ? VERDICT_TRANSIENT : VERDICT_REFUSED;
	}
}

static bool
decode_node(const json_t *node, struct v2_node *out)
{
	const char *value = json_string_value(json_object_get(node, "value"));

	out->directory = json_is_true(json_object_get(node, "dir"));
	out->created = json_integer_value(json_object_get(node, "createdIndex"));
	out->modified = json_integer_value(json_object_get(node, "modifiedIndex"));
	out->ttl_s = json_integer_value(json_object_get(node, "ttl"));
	if (out->ttl_s < 0 || out->ttl_s > TTL_MAX)
		out->ttl_s = 0;
	out->value = strdup(value == NULL ? "" : value);
	return out->value != NULL && out->modified > 0;
}

static enum verdict_kind
classify_object(long status, const json_t *object, struct v2_answer *answer, char text[VERDICT_TEXT])
{
	const json_t *code = json_object_get(object, "errorCode"), *node = json_object_get(object, "node");
	const char *action = json_string_value(json_object_get(object, "action"));
	const char *message = json_string_value(json_object_get(object, "message"));
	const char *cause = json_string_value(json_object_get(object, "cause"));

	if (json_is_integer(code)) {
		answer->index = json_integer_value(json_object_get(object, "index"));
		snprintf(text, VERDICT_TEXT, "%s (%s)", message == NULL ? "an error without a message" : message,
		    cause == NULL ? "" : cause);
		return kind_of_error(json_integer_value(code));
	}
	if (status >= 300 || action == NULL || !json_is_object(node))
		return VERDICT_NOT_ETCD;
	snprintf(answer->action, sizeof(answer->action), "%s", action);
	if (decode_node(node, &answer->node))
		return VERDICT_OK;
	snprintf(text, VERDICT_TEXT, "an answer makes no sense, or there is no memory for it");
	return VERDICT_TRANSIENT;
}

enum verdict_kind
v2_classify(long status, const char *body, size_t len, struct v2_answer *answer, char text[VERDICT_TEXT])
{
	json_t *object = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	enum verdict_kind kind = VERDICT_NOT_ETCD;

	*answer = (struct v2_answer){ 0 };
	text[0] = '\0';
	if (json_is_object(object))
		kind = classify_object(status, object, answer, text);
	if (kind == VERDICT_NOT_ETCD && http_status_is_transient(status)) {
		kind = VERDICT_TRANSIENT;
		snprintf(text, VERDICT_TEXT, "HTTP status %ld: %.100s", status, body);
	} else if (kind == VERDICT_NOT_ETCD) {
		snprintf(text, VERDICT_TEXT, "no etcd v2 API (/v2/keys) there: HTTP status %ld, \"%.60s\"%s", status,
		    body, status == 404 ? "; etcd 3.4 and 3.5 have it with --enable-v2, 3.6 has it no more" : "");
	}
	log_printable(text);
	json_decref(object);
	return kind;
}

void
v2_answer_free(struct v2_answer *answer)
{
	free(answer->node.value);
	answer->node.value = NULL;
}
