/* What an answer of the gateway amounts to. Decided on the gRPC code and, where two errors share a code, on the
 * text; never on the HTTP status alone, which differs between versions. */
#include "base/log.h"
#include "etcd/v3_codec.h"
#include "net/http.h"

#include <stdio.h>
#include <string.h>

/* gRPC status codes (google.golang.org/grpc/codes). */
enum {
	GRPC_CANCELED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID = 3,
	GRPC_DEADLINE = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_EXHAUSTED = 8,
	GRPC_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16
};

/* In etcd's words (api/v3rpc/rpctypes): it has forgotten the token; there was none; users or roles were changed behind
 * its back. */
bool
v3_blames_token(const char *text)
{
	return strstr(text, "invalid auth token") != NULL || strstr(text, "user name is empty") != NULL ||
	    strstr(text, "auth store is old") != NULL;
}

/* What one member cannot do now, though the cluster can: it has no vote yet (in 3.6 this is FAILED_PRECONDITION, before
 * UNAVAILABLE), or is of a version that is just being changed. */
static bool
blames_member(const char *text)
{
	return strstr(text, "rpc not supported for learner") != NULL || strstr(text, "not capable") != NULL ||
	    strstr(text, "downgrade") != NULL;
}

static enum verdict_kind
kind_of_code(long status, json_int_t code, const char *text)
{
	switch (code) {
	case GRPC_CANCELED:
	case GRPC_UNKNOWN:
	case GRPC_DEADLINE:
	case GRPC_ABORTED:
	case GRPC_INTERNAL:
	case GRPC_UNAVAILABLE:
		return VERDICT_TRANSIENT;
	case GRPC_NOT_FOUND:
		/* From 3.6 on a wrong path has this code too. */
		return strstr(text, "lease not found") != NULL ? VERDICT_LEASE_GONE : VERDICT_NOT_ETCD;
	case GRPC_PRECONDITION:
		if (strstr(text, "authentication is not enabled") != NULL)
			return VERDICT_NO_AUTH;
		if (blames_member(text))
			return VERDICT_TRANSIENT;
		return strstr(text, "lease already exists") != NULL ? VERDICT_LEASE_EXISTS : VERDICT_REFUSED;
	case GRPC_UNAUTHENTICATED:
		return VERDICT_UNAUTHENTICATED;
	case GRPC_INVALID:
		return v3_blames_token(text) ? VERDICT_UNAUTHENTICATED : VERDICT_REFUSED;
	case GRPC_EXHAUSTED:
		if (strstr(text, "space exceeded") != NULL)
			return VERDICT_NO_SPACE;
		return strstr(text, "too many requests") != NULL ? VERDICT_TRANSIENT : VERDICT_REFUSED;
	default:
		return http_status_is_transient(status) ? VERDICT_TRANSIENT : VERDICT_REFUSED;
	}
}

/* The text of an error object: "message", or "error" as a string (etcd 3.2), or inside of "error". */
static const char *
error_text(const json_t *object)
{
	const json_t *error = json_object_get(object, "error");
	const json_t *text = json_object_get(object, "message");

	if (text == NULL)
		text = json_is_object(error) ? json_object_get(error, "message") : error;
	return json_is_string(text) ? json_string_value(text) : "an error without a message";
}

static json_int_t
error_code(const json_t *object)
{
	const json_t *error = json_object_get(object, "error"), *code = json_object_get(object, "code");

	if (code == NULL)
		code = json_object_get(error, "grpc_code");
	if (code == NULL)
		code = json_object_get(error, "code");
	return json_integer_value(code);
}

static bool
is_error(const json_t *object)
{
	return json_object_get(object, "error") != NULL || json_object_get(object, "code") != NULL;
}

/* Every answer of etcd has a header; a keepalive's stands inside of its result. */
static bool
has_header(const json_t *object)
{
	const json_t *result = json_object_get(object, "result");

	return json_is_object(json_object_get(result != NULL ? result : object, "header"));
}

enum verdict_kind
v3_classify(long status, const char *body, size_t len, json_t **answer, char text[VERDICT_TEXT])
{
	/* The keepalive's answer is a stream of one object and a newline. */
	json_t *object = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	enum verdict_kind kind = VERDICT_NOT_ETCD;

	*answer = NULL;
	if (json_is_object(object) && is_error(object)) {
		kind = kind_of_code(status, error_code(object), error_text(object));
		snprintf(text, VERDICT_TEXT, "%s", error_text(object));
	} else if (strstr(body, "CommonName of client sending a request against gateway") != NULL) {
		/* etcd's server/embed, since a name in a certificate would be a user to it. */
		kind = VERDICT_REFUSED;
		snprintf(text, VERDICT_TEXT,
		    "etcd's JSON gateway takes no client certificate with a common name (CN) while users are on: use one "
		    "without, and a user's name and password");
	} else if (http_status_is_transient(status)) {
		kind = VERDICT_TRANSIENT;
		snprintf(text, VERDICT_TEXT, "HTTP status %ld: %.100s", status, body);
	} else if (status == 200 && json_is_object(object) && has_header(object)) {
		*answer = object;
		return VERDICT_OK;
	} else {
		snprintf(text, VERDICT_TEXT, "no etcd v3 JSON API (/v3) there: HTTP status %ld, \"%.80s\"%s", status,
		    body,
		    status == 404
			? "; etcd 3.4 or later has it, but not its grpc-proxy, nor etcd with --enable-grpc-gateway=false"
			: "");
	}
	log_printable(text);
	json_decref(object);
	return kind;
}
