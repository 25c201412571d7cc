#include "lock/v3/v3_messages.h"

#include "base/base64.h"
#include "base/strbuf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- requests --- */

int
v3_names_init(struct v3_names *names, const char *lock, const char *id, int64_t lease)
{
	char *released = str_printf("%c%s", '\0', id), *end;

	*names = (struct v3_names){ 0 };
	names->prefix = str_printf("%s/", lock);
	names->key = str_printf("%s/%" PRIx64, lock, (uint64_t)lease);
	/* The end of the range: the prefix with its last byte, a '/', raised by one. */
	end = str_printf("%s%c", lock, '/' + 1);
	if (released != NULL && end != NULL && names->prefix != NULL && names->key != NULL) {
		names->prefix64 = base64_encode(names->prefix, strlen(names->prefix));
		names->end64 = base64_encode(end, strlen(end));
		names->key64 = base64_encode(names->key, strlen(names->key));
		names->id64 = base64_encode(id, strlen(id));
		names->released64 = base64_encode(released, strlen(id) + 1);
	}
	free(released);
	free(end);
	if (names->prefix64 && names->end64 && names->key64 && names->id64 && names->released64)
		return 0;
	v3_names_free(names);
	return -1;
}

void
v3_names_free(struct v3_names *names)
{
	free(names->prefix);
	free(names->key);
	free(names->prefix64);
	free(names->end64);
	free(names->key64);
	free(names->id64);
	free(names->released64);
	*names = (struct v3_names){ 0 };
}

static json_t *
range_queue(const struct v3_names *names)
{
	return json_pack("{ss ss ss ss}", "key", names->prefix64, "range_end", names->end64, "sort_order", "ASCEND",
	    "sort_target", "CREATE");
}

static json_t *
range_own(const struct v3_names *names)
{
	return json_pack("{s{ss}}", "request_range", "key", names->key64);
}

/* A transaction guarded by our own key's TARGET, whose revision FIELD is to be REVISION. Steals the lists. */
static char *
txn(const struct v3_names *names, const char *target, const char *field, int64_t revision, json_t *success,
    json_t *failure)
{
	return v3_encode_object(json_pack("{s[{ss ss ss so}] so so}", "compare", "target", target, "result", "EQUAL",
	    "key", names->key64, field, v3_encode_int64(revision), "success", success, "failure", failure));
}

char *
v3_encode_join(const struct v3_names *names, int64_t lease)
{
	json_t *success = json_pack("[{s{ss ss so}}, {so}]", "request_put", "key", names->key64, "value", names->id64,
	    "lease", v3_encode_int64(lease), "request_range", range_queue(names));
	json_t *failure = json_pack("[o, {so}]", range_own(names), "request_range", range_queue(names));

	return txn(names, "CREATE", "create_revision", 0, success, failure);
}

char *
v3_encode_queue(const struct v3_names *names)
{
	return v3_encode_object(range_queue(names));
}

char *
v3_encode_move(const struct v3_names *names, int64_t mod_revision, int64_t lease)
{
	json_t *success = json_pack(
	    "[{s{ss sb so}}]", "request_put", "key", names->key64, "ignore_value", 1, "lease", v3_encode_int64(lease));

	return txn(names, "MOD", "mod_revision", mod_revision, success, json_pack("[o]", range_own(names)));
}

char *
v3_encode_mark(const struct v3_names *names, int64_t create_revision)
{
	json_t *count = json_pack("{ss ss sb}", "key", names->prefix64, "range_end", names->end64, "count_only", 1);
	json_t *success = json_pack("[{s{ss ss sb}}, {so}]", "request_put", "key", names->key64, "value",
	    names->released64, "ignore_lease", 1, "request_range", count);

	return txn(names, "CREATE", "create_revision", create_revision, success, json_array());
}

char *
v3_encode_delete(const struct v3_names *names, int64_t create_revision)
{
	json_t *success = json_pack("[{s{ss}}]", "request_delete_range", "key", names->key64);

	return txn(names, "CREATE", "create_revision", create_revision, success, json_array());
}

static json_t *
encode_op(const struct etcdlock_op *op)
{
	char *key64 = base64_encode(op->key, strlen(op->key));
	char *value64 = op->value == NULL ? NULL : base64_encode(op->value, op->len);
	json_t *object = NULL;

	if (key64 != NULL && op->value == NULL)
		object = json_pack("{s{ss}}", "request_delete_range", "key", key64);
	else if (key64 != NULL && value64 != NULL)
		object = json_pack("{s{ss ss}}", "request_put", "key", key64, "value", value64);
	free(key64);
	free(value64);
	return object;
}

char *
v3_encode_guarded(const struct v3_names *names, int64_t create_revision, const struct etcdlock_op *ops, size_t count)
{
	json_t *list = json_array();
	bool good = list != NULL;

	for (size_t i = 0; good && i < count; i++)
		good = json_array_append_new(list, encode_op(&ops[i])) == 0;
	/* The released mark, upon which the next one starts, changes the value and leaves the key. */
	if (good)
		return v3_encode_object(json_pack("{s[{ss ss ss so}, {ss ss ss ss}] so s[]}", "compare", "target",
		    "CREATE", "result", "EQUAL", "key", names->key64, "create_revision",
		    v3_encode_int64(create_revision), "target", "VALUE", "result", "EQUAL", "key", names->key64,
		    "value", names->id64, "success", list, "failure"));
	json_decref(list);
	return NULL;
}

/* --- answers --- */

bool
v3_kv_released(const struct v3_kv *kv)
{
	return kv->value_len > 0 && kv->value[0] == '\0';
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
		const char *wrong = v3_decode_kv(json_array_get(kvs, i), queue->revision, kv);

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
	wrong = v3_decode_revision(answer, &queue->revision);
	if (wrong == NULL)
		wrong = decode_entries(json_object_get(range, "kvs"), names, queue);
	if (wrong != NULL)
		v3_queue_free(queue);
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
	wrong = v3_decode_revision(answer, &move->revision);
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
	return v3_decode_kv(json_array_get(kvs, 0), move->revision, &move->kv);
}

const char *
v3_decode_mark(const json_t *answer, int64_t *count)
{
	const json_t *range =
	    json_object_get(json_array_get(json_object_get(answer, "responses"), 1), "response_range");

	return v3_decode_int64(range, "count", count);
}

const char *
v3_decode_guarded(const json_t *answer, bool *succeeded, int64_t *revision)
{
	*succeeded = json_is_true(json_object_get(answer, "succeeded"));
	return v3_decode_int64(json_object_get(answer, "header"), "revision", revision);
}
