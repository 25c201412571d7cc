/* Encoding of v3 requests. */
#include "base/base64.h"
#include "base/strbuf.h"
#include "etcd/v3_codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* 64-bit integers travel as strings: a JSON number loses what exceeds 2^53. */
json_t *
v3_encode_int64(int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return json_string(text);
}

/* Steals OBJECT; it may be NULL. */
char *
v3_encode_object(json_t *object)
{
	char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

	json_decref(object);
	return text;
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
	return v3_encode_object(json_pack("{so so}", "ID", v3_encode_int64(lease), "TTL", v3_encode_int64(ttl_s)));
}

char *
v3_encode_lease(int64_t lease)
{
	return v3_encode_object(json_pack("{so}", "ID", v3_encode_int64(lease)));
}

char *
v3_encode_watch(const char *key, int64_t start_revision, bool before)
{
	char *key64 = base64_encode(key, strlen(key)), *request;

	if (key64 == NULL)
		return NULL;
	request = v3_encode_object(json_pack("{s{ss so sb}}", "create_request", "key", key64, "start_revision",
	    v3_encode_int64(start_revision), "prev_kv", before));
	free(key64);
	return request;
}
