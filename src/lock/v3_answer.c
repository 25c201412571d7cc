/* Decoding of v3 answers. Nothing from the network is trusted: every field's type and range is checked. */
#include "base/base64.h"
#include "lock/v3_codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The integer NAME of OBJECT, which the gateway writes as a string; 0 where it is left out. */
static const char *
get_int64(const json_t *object, const char *name, int64_t *value)
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
decode_kv(const json_t *object, struct v3_kv *kv)
{
	const char *wrong;

	*kv = (struct v3_kv){ 0 };
	if (!json_is_object(object))
		return "a key-value pair is not an object";
	wrong = get_bytes(object, "key", &kv->key, &kv->key_len);
	if (wrong == NULL)
		wrong = get_bytes(object, "value", &kv->value, &kv->value_len);
	if (wrong == NULL)
		wrong = get_int64(object, "create_revision", &kv->create_revision);
	if (wrong == NULL)
		wrong = get_int64(object, "mod_revision", &kv->mod_revision);
	if (wrong == NULL)
		wrong = get_int64(object, "lease", &kv->lease);
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

bool
v3_kv_released(const struct v3_kv *kv)
{
	return kv->value_len > 0 && kv->value[0] == '\0';
}

/* A key as it was in the store at REVISION. */
static const char *
decode_stored(const json_t *object, int64_t revision, struct v3_kv *kv)
{
	const char *wrong = decode_kv(object, kv);

	if (wrong != NULL ||
	    (kv->create_revision > 0 && kv->mod_revision >= kv->create_revision && kv->mod_revision <= revision))
		return wrong;
	v3_kv_free(kv);
	return "a key's revisions are none that it can have";
}

/* The same of an unsigned one. */
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

	return wrong == NULL ? get_int64(object, "revision", &header->revision) : wrong;
}

static const char *
get_revision(const json_t *answer, int64_t *revision)
{
	const char *wrong = get_int64(json_object_get(answer, "header"), "revision", revision);

	if (wrong == NULL && *revision <= 0)
		wrong = "the header has no revision";
	return wrong;
}

void
v3_queue_free(struct v3_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		v3_kv_free(&queue->entries[i]);
	free(queue->entries);
	*queue = (struct v3_queue){ 0 };
}

/* PREFIX and a lease in hex: a contender. Anything deeper is a nested lock name's. */
static bool
is_contender(const struct v3_kv *kv, const char *prefix)
{
	size_t len = strlen(prefix),
	       digits = strspn(kv->key + (kv->key_len < len ? kv->key_len : len), "0123456789abcdef");

	return kv->key_len > len && memcmp(kv->key, prefix, len) == 0 && len + digits == kv->key_len;
}

/* Keys that one transaction has put have one create revision: then their names decide, for all in the same way. */
static int
compare_entries(const void *a, const void *b)
{
	const struct v3_kv *one = a, *other = b;

	if (one->create_revision != other->create_revision)
		return one->create_revision < other->create_revision ? -1 : 1;
	return strcmp(one->key, other->key);
}

static const char *
decode_entries(const json_t *kvs, const struct v3_names *names, struct v3_queue *queue)
{
	size_t total = json_array_size(kvs);

	if (kvs != NULL && !json_is_array(kvs))
		return "the list of keys is not a list";
	queue->entries = calloc(total + 1, sizeof(*queue->entries));
	if (queue->entries == NULL)
		return "no memory for the queue";
	for (size_t i = 0; i < total; i++) {
		struct v3_kv *kv = &queue->entries[queue->count];
		const char *wrong = decode_stored(json_array_get(kvs, i), queue->revision, kv);

		if (wrong != NULL)
			return wrong;
		if (!is_contender(kv, names->prefix)) {
			v3_kv_free(kv);
			continue;
		}
		if (queue->count++ > 0 && kv[-1].create_revision > kv->create_revision)
			return "the queue is not sorted by create revision";
	}
	qsort(queue->entries, queue->count, sizeof(*queue->entries), compare_entries);
	return NULL;
}

const char *
v3_decode_queue(const json_t *answer, const struct v3_names *names, bool joined, struct v3_queue *queue)
{
	const json_t *range = answer;
	const char *wrong;

	*queue = (struct v3_queue){ 0 };
	if (joined) {
		range = json_object_get(json_array_get(json_object_get(answer, "responses"), 1), "response_range");
		if (!json_is_object(range))
			return "the transaction's answer has no range";
	}
	wrong = get_revision(answer, &queue->revision);
	if (wrong == NULL)
		wrong = decode_entries(json_object_get(range, "kvs"), names, queue);
	if (wrong != NULL)
		v3_queue_free(queue);
	return wrong;
}

const char *
v3_decode_grant(const json_t *answer, struct v3_grant *grant)
{
	const char *wrong = get_int64(answer, "ID", &grant->lease);

	if (wrong == NULL)
		wrong = get_int64(answer, "TTL", &grant->ttl_s);
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
	wrong = get_int64(result, "TTL", ttl_s);
	if (wrong == NULL && (*ttl_s < 0 || *ttl_s > INT64_C(9000000000)))
		wrong = "the TTL is out of range";
	return wrong;
}

const char *
v3_decode_move(const json_t *answer, struct v3_move *move)
{
	const json_t *succeeded = json_object_get(answer, "succeeded"), *range, *kvs;
	const char *wrong;

	*move = (struct v3_move){ 0 };
	if (succeeded != NULL && !json_is_boolean(succeeded))
		return "\"succeeded\" is not a boolean";
	wrong = get_revision(answer, &move->revision);
	if (wrong != NULL)
		return wrong;
	move->succeeded = json_is_true(succeeded);
	if (move->succeeded)
		return NULL;
	range = json_object_get(json_array_get(json_object_get(answer, "responses"), 0), "response_range");
	if (!json_is_object(range))
		return "the transaction's answer has no range";
	kvs = json_object_get(range, "kvs");
	if (kvs == NULL)
		return NULL;
	return decode_stored(json_array_get(kvs, 0), move->revision, &move->kv);
}

const char *
v3_decode_mark(const json_t *answer, int64_t *count)
{
	const json_t *range =
	    json_object_get(json_array_get(json_object_get(answer, "responses"), 1), "response_range");

	return get_int64(range, "count", count);
}

const char *
v3_decode_time_left(const json_t *answer, int64_t *left_s)
{
	return get_int64(answer, "TTL", left_s);
}

const char *
v3_decode_guarded(const json_t *answer, bool *succeeded, int64_t *revision)
{
	*succeeded = json_is_true(json_object_get(answer, "succeeded"));
	return get_int64(json_object_get(answer, "header"), "revision", revision);
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
	wrong = get_int64(json_object_get(result, "header"), "revision", &message->revision);
	if (wrong == NULL)
		wrong = get_int64(result, "compact_revision", &message->compact_revision);
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
	wrong = decode_kv(json_object_get(item, "kv"), &event->kv);
	if (wrong == NULL && before != NULL)
		wrong = decode_kv(before, &event->before);
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
