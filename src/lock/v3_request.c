/* Encoding of v3 requests. */
#include "base/base64.h"
#include "base/strbuf.h"
#include "lock/v3_codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* 64-bit integers travel as strings: a JSON number loses what exceeds 2^53. */
static json_t *
json_int64(int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return json_string(text);
}

/* Steals OBJECT; it may be NULL. */
static char *
dump(json_t *object)
{
	char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

	json_decref(object);
	return text;
}

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

/* TEXT inside of a JSON string (RFC 8259, section 7), in a copy that is made but once: jansson's would not be wiped. */
static char *
escape(char *to, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == '"' || c == '\\')
			to += sprintf(to, "\\u%04x", c);
		else
			*to++ = *text;
	}
	return to;
}

char *
v3_encode_authenticate(const char *user, const char *password)
{
	static const char begin[] = "{\"name\":\"", middle[] = "\",\"password\":\"", end[] = "\"}";
	char *body = malloc(sizeof(begin) + sizeof(middle) + sizeof(end) + 6 * (strlen(user) + strlen(password))), *at;

	if (body == NULL)
		return NULL;
	at = escape(stpcpy(body, begin), user);
	at = escape(stpcpy(at, middle), password);
	strcpy(at, end);
	return body;
}

char *
v3_encode_grant(int64_t lease, int64_t ttl_s)
{
	return dump(json_pack("{so so}", "ID", json_int64(lease), "TTL", json_int64(ttl_s)));
}

char *
v3_encode_lease(int64_t lease)
{
	return dump(json_pack("{so}", "ID", json_int64(lease)));
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
	return dump(json_pack("{s[{ss ss ss so}] so so}", "compare", "target", target, "result", "EQUAL", "key",
	    names->key64, field, json_int64(revision), "success", success, "failure", failure));
}

char *
v3_encode_join(const struct v3_names *names, int64_t lease)
{
	json_t *success = json_pack("[{s{ss ss so}}, {so}]", "request_put", "key", names->key64, "value", names->id64,
	    "lease", json_int64(lease), "request_range", range_queue(names));
	json_t *failure = json_pack("[o, {so}]", range_own(names), "request_range", range_queue(names));

	return txn(names, "CREATE", "create_revision", 0, success, failure);
}

char *
v3_encode_queue(const struct v3_names *names)
{
	return dump(range_queue(names));
}

char *
v3_encode_move(const struct v3_names *names, int64_t mod_revision, int64_t lease)
{
	json_t *success = json_pack(
	    "[{s{ss sb so}}]", "request_put", "key", names->key64, "ignore_value", 1, "lease", json_int64(lease));

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
		return dump(json_pack("{s[{ss ss ss so}, {ss ss ss ss}] so s[]}", "compare", "target", "CREATE",
		    "result", "EQUAL", "key", names->key64, "create_revision", json_int64(create_revision), "target",
		    "VALUE", "result", "EQUAL", "key", names->key64, "value", names->id64, "success", list, "failure"));
	json_decref(list);
	return NULL;
}

char *
v3_encode_watch(const char *key, int64_t start_revision, bool before)
{
	char *key64 = base64_encode(key, strlen(key)), *request;

	if (key64 == NULL)
		return NULL;
	request = dump(json_pack("{s{ss so sb}}", "create_request", "key", key64, "start_revision",
	    json_int64(start_revision), "prev_kv", before));
	free(key64);
	return request;
}
