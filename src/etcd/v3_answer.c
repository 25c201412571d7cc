/* Decoding of v3 answers. Nothing from the network is trusted: every field's type and range is checked. */
#include "base/base64.h"
#include "etcd/v3_codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The integer NAME of OBJECT, which the gateway writes as a string; 0 where it is left out. */
const char *
v3_decode_int64(const json_t *object, const char *name, int64_t *value)
{
	const json_t *field = json_object_get(object, name);
	const char *text;
	char *end;

	*value = 0;
	if (field == NULL)
		return NULL;
	if (json_is_integer(field)) {
		*value = json_integer_value(field);
		return NULL;
	}
	text = json_string_value(field);
	if (text == NULL || (*text != '-' && (*text < '0' || *text > '9')))
		return "an integer field is not an integer";
	errno = 0;
	*value = strtoll(text, &end, 10);
	return errno != 0 || *end != '\0' || end == text ? "an integer field is not an integer of 64 bits" : NULL;
}

/* The bytes NAME of OBJECT as a new string; "" where it is left out. */
static const char *
get_bytes(const json_t *object, const char *name, char **bytes, size_t *len)
{
	const json_t *field = json_object_get(object, name);
	const char *text = field == NULL ? "" : json_string_value(field);

	if (text == NULL)
		return "a key or value is not a string";
	*bytes = base64_decode(text, len);
	if (*bytes == NULL)
		return errno == ENOMEM ? "no memory for a key or value" : "a key or value is not base64";
	return NULL;
}

static const char *
read_kv(const json_t *object, struct v3_kv *kv)
{
	const char *wrong;

	*kv = (struct v3_kv){ 0 };
	if (!json_is_object(object))
		return "a key-value pair is not an object";
	wrong = get_bytes(object, "key", &kv->key, &kv->key_len);
	if (wrong == NULL)
		wrong = get_bytes(object, "value", &kv->value, &kv->value_len);
	if (wrong == NULL)
		wrong = v3_decode_int64(object, "create_revision", &kv->create_revision);
	if (wrong == NULL)
		wrong = v3_decode_int64(object, "mod_revision", &kv->mod_revision);
	if (wrong == NULL)
		wrong = v3_decode_int64(object, "lease", &kv->lease);
	if (wrong == NULL && kv->key_len == 0)
		wrong = "a key is missing";
	if (wrong != NULL)
		v3_kv_free(kv);
	return wrong;
}

void
v3_kv_free(struct v3_kv *kv)
{
	free(kv->key);
	free(kv->value);
	*kv = (struct v3_kv){ 0 };
}

/* A key as it was in the store at REVISION. */
const char *
v3_decode_kv(const json_t *object, int64_t revision, struct v3_kv *kv)
{
	const char *wrong = read_kv(object, kv);

	if (wrong != NULL ||
	    (kv->create_revision > 0 && kv->mod_revision >= kv->create_revision && kv->mod_revision <= revision))
		return wrong;
	v3_kv_free(kv);
	return "a key's revisions are none that it can have";
}

/* The unsigned integer NAME of OBJECT, likewise. */
static const char *
get_uint64(const json_t *object, const char *name, uint64_t *value)
{
	const char *text = json_string_value(json_object_get(object, name));
	char *end;

	*value = 0;
	if (text == NULL)
		return NULL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno != 0 || *end != '\0' || *text < '0' || *text > '9' ? "an id is not an integer of 64 bits" : NULL;
}

const char *
v3_decode_header(const json_t *answer, struct v3_header *header)
{
	const json_t *result = json_object_get(answer, "result");
	const json_t *object = json_object_get(result != NULL ? result : answer, "header");
	const char *wrong = get_uint64(object, "cluster_id", &header->cluster);

	return wrong == NULL ? v3_decode_int64(object, "revision", &header->revision) : wrong;
}

const char *
v3_decode_revision(const json_t *answer, int64_t *revision)
{
	const char *wrong = v3_decode_int64(json_object_get(answer, "header"), "revision", revision);

	if (wrong == NULL && *revision <= 0)
		wrong = "the header has no revision";
	return wrong;
}

const char *
v3_decode_grant(const json_t *answer, struct v3_grant *grant)
{
	const char *wrong = v3_decode_int64(answer, "ID", &grant->lease);

	if (wrong == NULL)
		wrong = v3_decode_int64(answer, "TTL", &grant->ttl_s);
	if (wrong == NULL && (grant->ttl_s <= 0 || grant->ttl_s > INT64_C(9000000000)))
		wrong = "the granted TTL is out of range";
	return wrong;
}

const char *
v3_decode_token(const json_t *answer, const char **token)
{
	const char *text = json_string_value(json_object_get(answer, "token"));

	if (text == NULL || text[0] == '\0')
		return "there is no token";
	/* It goes into a header. */
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return "the token has characters that no header has";
	*token = text;
	return NULL;
}

const char *
v3_decode_keepalive(const json_t *answer, int64_t *ttl_s)
{
	const json_t *result = json_object_get(answer, "result");
	const char *wrong;

	if (!json_is_object(result))
		return "the keepalive's answer has no result";
	wrong = v3_decode_int64(result, "TTL", ttl_s);
	if (wrong == NULL && (*ttl_s < 0 || *ttl_s > INT64_C(9000000000)))
		wrong = "the TTL is out of range";
	return wrong;
}

const char *
v3_decode_time_left(const json_t *answer, int64_t *left_s)
{
	return v3_decode_int64(answer, "TTL", left_s);
}

/* The message of an in-stream error, which is an object up to etcd 3.5 and later. */
static const char *
stream_error(const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "message"));

	return text == NULL ? "an error without a message" : text;
}

const char *
v3_decode_watch(const json_t *object, struct v3_watch_message *message)
{
	const json_t *result = json_object_get(object, "result"), *events;
	const char *wrong, *reason;

	*message = (struct v3_watch_message){ 0 };
	if (json_object_get(object, "error") != NULL) {
		message->ended = stream_error(json_object_get(object, "error"));
		return NULL;
	}
	if (!json_is_object(result))
		return "a watch message has neither result nor error";
	wrong = v3_decode_int64(json_object_get(result, "header"), "revision", &message->revision);
	if (wrong == NULL)
		wrong = v3_decode_int64(result, "compact_revision", &message->compact_revision);
	if (wrong != NULL)
		return wrong;
	/* A refused watch says created and canceled at once; etcd 3.2 leaves canceled out of a compaction. */
	if (json_is_true(json_object_get(result, "canceled")) || message->compact_revision > 0) {
		reason = json_string_value(json_object_get(result, "cancel_reason"));
		message->ended = reason != NULL     ? reason
		    : message->compact_revision > 0 ? "the history was compacted"
						    : "cancelled";
		return NULL;
	}
	message->created = json_is_true(json_object_get(result, "created"));
	events = json_object_get(result, "events");
	if (events != NULL && !json_is_array(events))
		return "the list of events is not a list";
	message->events = json_array_size(events);
	return NULL;
}

const char *
v3_decode_event(const json_t *object, size_t index, struct v3_event *event)
{
	const json_t *item = json_array_get(json_object_get(json_object_get(object, "result"), "events"), index);
	const json_t *type = json_object_get(item, "type"), *before = json_object_get(item, "prev_kv");
	const char *wrong;

	*event = (struct v3_event){ 0 };
	if (type != NULL && !json_is_string(type))
		return "an event's type is not a string";
	event->deleted = type != NULL && strcmp(json_string_value(type), "DELETE") == 0;
	wrong = read_kv(json_object_get(item, "kv"), &event->kv);
	if (wrong == NULL && before != NULL)
		wrong = read_kv(before, &event->before);
	if (wrong != NULL)
		v3_event_free(event);
	return wrong;
}

void
v3_event_free(struct v3_event *event)
{
	v3_kv_free(&event->kv);
	v3_kv_free(&event->before);
}
