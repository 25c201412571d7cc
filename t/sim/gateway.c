#include "gateway.h"

#include "base/base64.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The least TTL that is granted, with etcd's default election timeout. */
#define LEAST_TTL 2

void
text_add(struct text *text, const char *format, ...)
{
	va_list arguments;
	int len;

	for (;;) {
		va_start(arguments, format);
		len = vsnprintf(
		    text->bytes == NULL ? NULL : text->bytes + text->len, text->room - text->len, format, arguments);
		va_end(arguments);
		if (text->len + (size_t)len < text->room)
			break;
		text->room = 2 * (text->len + (size_t)len + 256);
		text->bytes = realloc(text->bytes, text->room);
		if (text->bytes == NULL)
			abort();
	}
	text->len += (size_t)len;
}

int64_t
gateway_int(const json_t *object, const char *name)
{
	const json_t *field = json_object_get(object, name);

	return json_is_string(field) ? strtoll(json_string_value(field), NULL, 10) : json_integer_value(field);
}

char *
gateway_bytes(const char *text64)
{
	size_t len;

	return text64 == NULL ? NULL : base64_decode(text64, &len);
}

/* --- printing --- */

void
print_header(struct text *text, const struct header *header)
{
	text_add(text, "\"header\":{\"cluster_id\":\"%" PRIu64 "\",\"member_id\":\"%" PRIu64 "\"", header->cluster,
	    header->member);
	if (header->revision != 0)
		text_add(text, ",\"revision\":\"%" PRId64 "\"", header->revision);
	text_add(text, ",\"raft_term\":\"%" PRIu64 "\"}", header->term);
}

long
print_error(struct text *text, int code, const char *words)
{
	static const long statuses[17] = { [CODE_UNKNOWN] = 500,
		[CODE_INVALID] = 400,
		[CODE_NOT_FOUND] = 404,
		[CODE_EXHAUSTED] = 429,
		[CODE_PRECONDITION] = 400,
		[CODE_RANGE] = 400,
		[CODE_UNAVAILABLE] = 503,
		[CODE_UNAUTHENTICATED] = 401 };

	text->len = 0;
	text_add(text, "{\"error\":\"%s\",\"message\":\"%s\",\"code\":%d}", words, words, code);
	return statuses[code];
}

static void
print_kv(struct text *text, const struct key *key, const struct version *version, bool value)
{
	text_add(text, "{\"key\":\"%s\"", key->name64);
	if (version->create != 0)
		text_add(text, ",\"create_revision\":\"%" PRId64 "\"", version->create);
	text_add(text, ",\"mod_revision\":\"%" PRId64 "\"", version->mod);
	if (version->count != 0)
		text_add(text, ",\"version\":\"%" PRId64 "\"", version->count);
	if (value && version->value64 != NULL && version->value64[0] != '\0')
		text_add(text, ",\"value\":\"%s\"", version->value64);
	if (version->lease != 0)
		text_add(text, ",\"lease\":\"%" PRId64 "\"", version->lease);
	text_add(text, "}");
}

void
print_change(struct text *text, const struct change *change, bool before)
{
	const struct version *earlier = change->version->before;

	text_add(text, "{%s\"kv\":", change->version->deleted ? "\"type\":\"DELETE\"," : "");
	print_kv(text, change->key, change->version, true);
	if (before && earlier != NULL && !earlier->deleted) {
		text_add(text, ",\"prev_kv\":");
		print_kv(text, change->key, earlier, true);
	}
	text_add(text, "}");
}

/* --- ranges --- */

#define FOUND 4096

struct found {
	const struct key *key;
	const struct version *version;
};

struct range {
	char *from, *to;
	struct found list[FOUND];
	size_t count;
	int target; /* 0: the key, 1: the create revision, 2: the mod revision */
	bool descends;
};

static const struct range *sorted;

static int
compare(const void *a, const void *b)
{
	const struct found *one = a, *other = b;
	int64_t x = 0, y = 0;
	int order;

	if (sorted->target == 1) {
		x = one->version->create;
		y = other->version->create;
	} else if (sorted->target == 2) {
		x = one->version->mod;
		y = other->version->mod;
	}
	order = x != y ? (x < y ? -1 : 1) : strcmp(one->key->name, other->key->name);
	return sorted->descends && (x != y || sorted->target == 0) ? -order : order;
}

static bool
is_within(const struct version *version, const json_t *request)
{
	static const char *const names[] = { "min_create_revision", "max_create_revision", "min_mod_revision",
		"max_mod_revision" };

	for (size_t i = 0; i < 4; i++) {
		int64_t bound = gateway_int(request, names[i]), value = i < 2 ? version->create : version->mod;

		if (bound != 0 && (i % 2 == 0 ? value < bound : value > bound))
			return false;
	}
	return true;
}

/* Finds what REQUEST asks for at revision AT. Returns how many keys there are in all. */
static size_t
find(struct store *store, const json_t *request, int64_t at, struct range *range)
{
	const char *target = json_string_value(json_object_get(request, "sort_target"));
	const char *order = json_string_value(json_object_get(request, "sort_order"));
	struct key *key;
	size_t total = 0;

	range->count = 0;
	range->target = target == NULL ? 0 : strcmp(target, "CREATE") == 0 ? 1 : strcmp(target, "MOD") == 0 ? 2 : 0;
	range->descends = order != NULL && strcmp(order, "DESCEND") == 0;
	TAILQ_FOREACH(key, &store->keys, link)
	{
		const struct version *version = store_at(key, at);
		bool meant = range->to == NULL
		    ? strcmp(key->name, range->from) == 0
		    : strcmp(key->name, range->from) >= 0 && strcmp(key->name, range->to) < 0;

		if (version == NULL || !meant)
			continue;
		total++;
		if (!is_within(version, request))
			continue;
		if (range->count == FOUND)
			abort();
		range->list[range->count++] = (struct found){ .key = key, .version = version };
	}
	sorted = range;
	if (range->target != 0 || range->descends)
		qsort(range->list, range->count, sizeof(range->list[0]), compare);
	return total;
}

/* The inside of a range's answer, behind its header. */
static void
print_range(struct text *text, struct store *store, const json_t *request, int64_t at)
{
	static struct range range;
	bool value = !json_is_true(json_object_get(request, "keys_only"));
	size_t total, most = (size_t)gateway_int(request, "limit");

	range.from = gateway_bytes(json_string_value(json_object_get(request, "key")));
	range.to = gateway_bytes(json_string_value(json_object_get(request, "range_end")));
	total = find(store, request, at, &range);
	if (most == 0 || most > range.count)
		most = range.count;
	if (json_is_true(json_object_get(request, "count_only")))
		most = 0;
	for (size_t i = 0; i < most; i++) {
		text_add(text, i == 0 ? ",\"kvs\":[" : ",");
		print_kv(text, range.list[i].key, range.list[i].version, value);
	}
	if (most > 0)
		text_add(text, "]");
	if (most > 0 && most < range.count)
		text_add(text, ",\"more\":true");
	if (total > 0)
		text_add(text, ",\"count\":\"%zu\"", total);
	free(range.from);
	free(range.to);
}

/* --- transactions --- */

static int64_t
sign(int64_t value)
{
	return (value > 0) - (value < 0);
}

static bool
holds(struct store *store, const json_t *compare)
{
	static const struct version absent;
	const char *target = json_string_value(json_object_get(compare, "target"));
	const char *result = json_string_value(json_object_get(compare, "result"));
	char *name = gateway_bytes(json_string_value(json_object_get(compare, "key")));
	const struct key *key = store_key(store, name);
	const struct version *now = key == NULL ? NULL : store_now(key);
	int64_t difference;

	free(name);
	if (target == NULL)
		target = "VERSION";
	if (strcmp(target, "VALUE") == 0) {
		const char *value = json_string_value(json_object_get(compare, "value"));

		/* What is not there has no value at all. */
		if (now == NULL)
			return false;
		difference = strcmp(now->value64, value == NULL ? "" : value);
	} else {
		if (now == NULL)
			now = &absent;
		if (strcmp(target, "CREATE") == 0)
			difference = now->create - gateway_int(compare, "create_revision");
		else if (strcmp(target, "MOD") == 0)
			difference = now->mod - gateway_int(compare, "mod_revision");
		else if (strcmp(target, "LEASE") == 0)
			difference = now->lease - gateway_int(compare, "lease");
		else
			difference = now->count - gateway_int(compare, "version");
	}
	if (result == NULL || strcmp(result, "EQUAL") == 0)
		return difference == 0;
	if (strcmp(result, "NOT_EQUAL") == 0)
		return difference != 0;
	return sign(difference) == (strcmp(result, "GREATER") == 0 ? 1 : -1);
}

/* What a put would fail for; NULL: nothing. */
static const char *
refusal(struct store *store, const json_t *put, int *code)
{
	char *name = gateway_bytes(json_string_value(json_object_get(put, "key")));
	const struct key *key = store_key(store, name);
	bool there = key != NULL && store_now(key) != NULL;
	int64_t lease = gateway_int(put, "lease");

	free(name);
	*code = CODE_INVALID;
	if (!there &&
	    (json_is_true(json_object_get(put, "ignore_value")) || json_is_true(json_object_get(put, "ignore_lease"))))
		return "etcdserver: key not found";
	*code = CODE_NOT_FOUND;
	if (lease != 0 && store_lease(store, lease) == NULL)
		return "etcdserver: requested lease not found";
	return NULL;
}

static void
carry_out_put(struct store *store, const json_t *put)
{
	const char *name64 = json_string_value(json_object_get(put, "key"));
	const char *value64 = json_string_value(json_object_get(put, "value"));
	char *name = gateway_bytes(name64);
	const struct key *key = store_key(store, name);
	const struct version *now = key == NULL ? NULL : store_now(key);
	int64_t lease = gateway_int(put, "lease");

	if (now != NULL && json_is_true(json_object_get(put, "ignore_value")))
		value64 = now->value64;
	if (now != NULL && json_is_true(json_object_get(put, "ignore_lease")))
		lease = now->lease;
	store_put(store, name, name64, value64 == NULL ? "" : value64, lease);
	free(name);
}

static void
carry_out_delete(struct store *store, const json_t *range, struct text *text)
{
	char *from = gateway_bytes(json_string_value(json_object_get(range, "key")));
	char *to = gateway_bytes(json_string_value(json_object_get(range, "range_end")));
	struct key *key;
	size_t count = 0;

	TAILQ_FOREACH(key, &store->keys, link)
	if (to == NULL ? strcmp(key->name, from) == 0 : strcmp(key->name, from) >= 0 && strcmp(key->name, to) < 0)
		count += store_delete(store, key);
	text_add(text, "\"response_delete_range\":{\"header\":{\"revision\":\"%" PRId64 "\"}", store->revision);
	if (count > 0)
		text_add(text, ",\"deleted\":\"%zu\"", count);
	text_add(text, "}");
	free(from);
	free(to);
}

static void
carry_out(struct store *store, const json_t *operation, struct text *text)
{
	const json_t *inner = json_object_get(operation, "request_put");

	text_add(text, "{");
	if (inner != NULL) {
		carry_out_put(store, inner);
		text_add(text, "\"response_put\":{\"header\":{\"revision\":\"%" PRId64 "\"}}", store->revision);
	} else if ((inner = json_object_get(operation, "request_range")) != NULL) {
		text_add(text, "\"response_range\":{\"header\":{\"revision\":\"%" PRId64 "\"}", store->revision);
		print_range(text, store, inner, store->revision);
		text_add(text, "}");
	} else if ((inner = json_object_get(operation, "request_delete_range")) != NULL) {
		carry_out_delete(store, inner, text);
	}
	text_add(text, "}");
}

/* Two puts of one key. */
static bool
repeats_key(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		for (size_t k = 0; k < i; k++) {
			const json_t *one = json_object_get(json_array_get(list, i), "request_put");
			const json_t *other = json_object_get(json_array_get(list, k), "request_put");

			if (one != NULL && other != NULL &&
			    json_equal(json_object_get(one, "key"), json_object_get(other, "key")))
				return true;
		}
	return false;
}

static long
transaction(struct store *store, const json_t *request, struct header *header, struct text *text)
{
	const json_t *compares = json_object_get(request, "compare"), *list;
	struct text inner = { 0 };
	bool good = true;
	int code;

	if (repeats_key(json_object_get(request, "success")) || repeats_key(json_object_get(request, "failure")))
		return print_error(text, CODE_INVALID, "etcdserver: duplicate key given in txn request");
	for (size_t i = 0; good && i < json_array_size(compares); i++)
		good = holds(store, json_array_get(compares, i));
	list = json_object_get(request, good ? "success" : "failure");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *put = json_object_get(json_array_get(list, i), "request_put");
		const char *wrong = put == NULL ? NULL : refusal(store, put, &code);

		if (wrong != NULL)
			return print_error(text, code, wrong);
	}
	store_begin(store);
	for (size_t i = 0; i < json_array_size(list); i++) {
		text_add(&inner, i == 0 ? ",\"responses\":[" : ",");
		carry_out(store, json_array_get(list, i), &inner);
	}
	store_commit(store);
	header->revision = store->revision;
	text_add(text, "{");
	print_header(text, header);
	text_add(text, "%s%s%s}", good ? ",\"succeeded\":true" : "", inner.len > 0 ? inner.bytes : "",
	    inner.len > 0 ? "]" : "");
	free(inner.bytes);
	return 200;
}

/* --- the rest --- */

static long
grant(struct store *store, const json_t *request, struct header *header, struct text *text)
{
	int64_t id = gateway_int(request, "ID"), ttl = gateway_int(request, "TTL");

	if (store_lease(store, id) != NULL)
		return print_error(text, CODE_PRECONDITION, "etcdserver: lease already exists");
	if (ttl < LEAST_TTL)
		ttl = LEAST_TTL;
	(void)store_grant(store, id, ttl);
	text_add(text, "{");
	print_header(text, header);
	text_add(text, ",\"ID\":\"%" PRId64 "\",\"TTL\":\"%" PRId64 "\"}", id, ttl);
	return 200;
}

static long
revoke(struct store *store, const json_t *request, struct header *header, struct text *text)
{
	struct lease *lease = store_lease(store, gateway_int(request, "ID"));

	if (lease == NULL)
		return print_error(text, CODE_NOT_FOUND, "etcdserver: requested lease not found");
	store_revoke(store, lease);
	header->revision = store->revision;
	text_add(text, "{");
	print_header(text, header);
	text_add(text, "}");
	return 200;
}

static long
read_range(struct store *store, const json_t *request, struct header *header, int64_t at, struct text *text)
{
	int64_t revision = gateway_int(request, "revision");

	if (json_string_value(json_object_get(request, "key")) == NULL)
		return print_error(text, CODE_INVALID, "etcdserver: key is not provided");
	if (revision > store->revision)
		return print_error(text, CODE_RANGE, "etcdserver: mvcc: required revision is a future revision");
	if (revision != 0 && revision < store->compacted)
		return print_error(text, CODE_RANGE, "etcdserver: mvcc: required revision has been compacted");
	text_add(text, "{");
	print_header(text, header);
	print_range(text, store, request, revision != 0 ? revision : at);
	text_add(text, "}");
	return 200;
}

bool
gateway_reads(const char *path)
{
	return strcmp(path, "/v3/kv/range") == 0;
}

bool
gateway_needs_room(const char *path, const json_t *request)
{
	const json_t *success = json_object_get(request, "success"), *failure = json_object_get(request, "failure");

	if (strcmp(path, "/v3/lease/grant") == 0)
		return true;
	if (strcmp(path, "/v3/kv/txn") != 0)
		return false;
	for (size_t i = 0; i < json_array_size(success) + json_array_size(failure); i++) {
		const json_t *operation = i < json_array_size(success)
		    ? json_array_get(success, i)
		    : json_array_get(failure, i - json_array_size(success));

		if (json_object_get(operation, "request_put") != NULL)
			return true;
	}
	return false;
}

long
gateway_apply(
    struct store *store, const char *path, const json_t *request, struct header *header, int64_t at, struct text *text)
{
	header->cluster = store->cluster;
	header->revision = at == 0 ? store->revision : at;
	if (strcmp(path, "/v3/kv/txn") == 0)
		return transaction(store, request, header, text);
	if (strcmp(path, "/v3/lease/grant") == 0)
		return grant(store, request, header, text);
	if (strcmp(path, "/v3/kv/lease/revoke") == 0 || strcmp(path, "/v3/lease/revoke") == 0)
		return revoke(store, request, header, text);
	if (strcmp(path, "/v3/kv/range") == 0)
		return read_range(store, request, header, header->revision, text);
	text_add(text, "{\"code\":5,\"message\":\"Not Found\"}");
	return 404;
}
