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

/* BELOW 0: from the queue's end on. */
static json_t *
range_page(const struct v3_names *names, int64_t below, int limit, bool values)
{
	json_t *page = json_pack("{s{ss ss ss ss so}}", "request_range", "key", names->prefix64, "range_end",
	    names->end64, "sort_order", "DESCEND", "sort_target", "CREATE", "limit", v3_encode_int64(limit));
	json_t *range = json_object_get(page, "request_range");

	if (below != 0 && json_object_set_new(range, "max_create_revision", v3_encode_int64(below)) == -1)
		goto short_of_memory;
	if (!values && json_object_set_new(range, "keys_only", json_true()) == -1)
		goto short_of_memory;
	return page;
short_of_memory:
	json_decref(page);
	return NULL;
}

static json_t *
range_own(const struct v3_names *names)
{
	return json_pack("{s{ss}}", "request_range", "key", names->key64);
}

/* A transaction without a guard, which reads: our key, and THEN, which it takes. */
static char *
read_with(const struct v3_names *names, json_t *then)
{
	return v3_encode_object(json_pack("{s[o, o]}", "success", range_own(names), then));
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
	/* Our own key is the last one of the queue at that moment, and part of the page. */
	json_t *success = json_pack("[{s{ss ss so}}, o, o]", "request_put", "key", names->key64, "value", names->id64,
	    "lease", v3_encode_int64(lease), range_own(names), range_page(names, 0, V3_PAGE_FIRST + 1, true));

	return txn(names, "CREATE", "create_revision", 0, success, json_pack("[o]", range_own(names)));
}

char *
v3_encode_own(const struct v3_names *names)
{
	return v3_encode_object(json_pack("{ss}", "key", names->key64));
}

char *
v3_encode_pair(const struct v3_names *names, const char *other)
{
	char *other64 = base64_encode(other, strlen(other)), *text = NULL;

	if (other64 != NULL)
		text = read_with(names, json_pack("{s{ss}}", "request_range", "key", other64));
	free(other64);
	return text;
}

char *
v3_encode_page(const struct v3_names *names, int64_t below, int limit, bool values)
{
	return read_with(names, range_page(names, below, limit, values));
}

/* Base64 of the first key that can follow the last one of ANSWER. NULL: there is none, or no memory. */
static char *
key_behind(const json_t *answer)
{
	const json_t *kvs = json_object_get(answer, "kvs"), *last = json_array_get(kvs, json_array_size(kvs) - 1);
	const char *text = json_string_value(json_object_get(last, "key"));
	size_t len;
	char *key = text == NULL ? NULL : base64_decode(text, &len), *next = NULL;

	/* A NUL more; there is one behind what was decoded. */
	if (key != NULL)
		next = base64_encode(key, len + 1);
	free(key);
	return next;
}

char *
v3_encode_list(const struct v3_names *names, const json_t *after, int limit, bool values)
{
	char *from = after == NULL ? strdup(names->prefix64) : key_behind(after), *text = NULL;

	if (from != NULL)
		text = v3_encode_object(json_pack("{ss ss so sb}", "key", from, "range_end", names->end64, "limit",
		    v3_encode_int64(limit), "keys_only", !values));
	free(from);
	return text;
}

char *
v3_encode_gets(const struct v3_kv *kvs, size_t count)
{
	json_t *gets = json_array();
	bool good = gets != NULL;

	for (size_t i = 0; good && i < count; i++) {
		char *key64 = base64_encode(kvs[i].key, kvs[i].key_len);

		good = key64 != NULL &&
		    json_array_append_new(gets, json_pack("{s{ss}}", "request_range", "key", key64)) == 0;
		free(key64);
	}
	if (good)
		return v3_encode_object(json_pack("{so}", "success", gets));
	json_decref(gets);
	return NULL;
}

char *
v3_encode_move(const struct v3_names *names, int64_t mod_revision, int64_t lease)
{
	json_t *success = json_pack(
	    "[{s{ss sb so}}]", "request_put", "key", names->key64, "ignore_value", 1, "lease", v3_encode_int64(lease));

	return txn(names, "MOD", "mod_revision", mod_revision, success, json_pack("[o]", range_own(names)));
}

char *
v3_encode_mark(const struct v3_names *names, int64_t create_revision, bool counted)
{
	json_t *success = json_pack(
	    "[{s{ss ss sb}}]", "request_put", "key", names->key64, "value", names->released64, "ignore_lease", 1);

	if (counted &&
	    json_array_append_new(success,
		json_pack("{s{ss ss sb}}", "request_range", "key", names->prefix64, "range_end", names->end64,
		    "count_only", 1)) == -1) {
		json_decref(success);
		return NULL;
	}
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
	return kv->value_len > 0 && kv->value[0] == '\0' && kv->lease != 0 && kv->mod_revision > kv->create_revision;
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

int
v3_queue_add(struct v3_queue *to, struct v3_queue *from)
{
	size_t count = to->count + from->count;
	struct v3_kv *entries = realloc(to->entries, (count + 1) * sizeof(*entries));

	if (entries == NULL)
		return -1;
	to->entries = entries;
	for (size_t i = 0; i < from->count; i++)
		entries[to->count + i] = from->entries[i];
	to->count = count;
	to->revision = from->revision;
	from->count = 0;
	v3_queue_free(from);
	return 0;
}

void
v3_queue_sort(struct v3_queue *queue)
{
	qsort(queue->entries, queue->count, sizeof(*queue->entries), compare_entries);
}

/* One list of keys. Appends the contenders. */
static const char *
decode_range(const json_t *range, const struct v3_names *names, struct v3_queue *queue)
{
	const json_t *kvs = json_object_get(range, "kvs");
	size_t total = json_array_size(kvs);
	struct v3_kv *entries;

	if (kvs != NULL && !json_is_array(kvs))
		return "the list of keys is not a list";
	entries = realloc(queue->entries, (queue->count + total + 1) * sizeof(*entries));
	if (entries == NULL)
		return "no memory for the queue";
	queue->entries = entries;
	queue->more = queue->more || json_is_true(json_object_get(range, "more"));
	for (size_t i = 0; i < total; i++) {
		struct v3_kv *kv = &entries[queue->count];
		const char *wrong = v3_decode_kv(json_array_get(kvs, i), queue->revision, kv);

		if (wrong != NULL)
			return wrong;
		if (queue->lowest == 0 || kv->create_revision < queue->lowest)
			queue->lowest = kv->create_revision;
		if (is_contender(kv, names->prefix))
			queue->count++;
		else
			v3_kv_free(kv);
	}
	return NULL;
}

/* A transaction's answer has several lists. */
static const char *
decode_ranges(const json_t *answer, const struct v3_names *names, struct v3_queue *queue)
{
	const json_t *responses = json_object_get(answer, "responses");

	for (size_t i = 0; i < json_array_size(responses); i++) {
		const json_t *range = json_object_get(json_array_get(responses, i), "response_range");
		const char *wrong = range == NULL ? NULL : decode_range(range, names, queue);

		if (wrong != NULL)
			return wrong;
	}
	return queue->entries == NULL ? "the transaction's answer has no range" : NULL;
}

/* Our own key is in a page as well, there perhaps without its value: the one with it stays. */
static void
drop_doubles(struct v3_queue *queue)
{
	size_t kept = 0;

	for (size_t i = 0; i < queue->count; i++) {
		struct v3_kv *kv = &queue->entries[i], *last = kept == 0 ? NULL : &queue->entries[kept - 1], other;

		if (last == NULL || compare_entries(last, kv) != 0) {
			queue->entries[kept++] = *kv;
			continue;
		}
		other = last->value_len < kv->value_len ? *last : *kv;
		if (last->value_len < kv->value_len)
			*last = *kv;
		v3_kv_free(&other);
	}
	queue->count = kept;
}

const char *
v3_decode_queue(const json_t *answer, const struct v3_names *names, bool txn, struct v3_queue *queue)
{
	const char *wrong;

	*queue = (struct v3_queue){ 0 };
	wrong = v3_decode_revision(answer, &queue->revision);
	if (wrong == NULL)
		wrong = txn ? decode_ranges(answer, names, queue) : decode_range(answer, names, queue);
	if (wrong != NULL) {
		v3_queue_free(queue);
		return wrong;
	}
	v3_queue_sort(queue);
	drop_doubles(queue);
	return NULL;
}

bool
v3_decode_joined(const json_t *answer)
{
	return json_is_true(json_object_get(answer, "succeeded"));
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
