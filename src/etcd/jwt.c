#include "etcd/jwt.h"

#include "base/base64.h"
#include "base/strbuf.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The part between TOKEN's two dots, decoded; NULL where there is none, or no memory. */
static json_t *
decode_claims(const char *token)
{
	const char *claims = strchr(token, '.');
	size_t text_len, len = claims == NULL ? 0 : strcspn(claims + 1, ".");
	json_t *object = NULL;
	char *base64, *text;

	if (len == 0 || claims[1 + len] != '.')
		return NULL;
	/* Theirs has no padding, and the alphabet that is for URLs (RFC 7515, section 2). */
	base64 = str_printf("%.*s%s", (int)len, claims + 1, &"==="[len % 4 == 0 ? 3 : len % 4 - 1]);
	if (base64 == NULL)
		return NULL;
	for (char *c = base64; *c != '\0'; c++)
		*c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
	text = base64_decode(base64, &text_len);
	if (text != NULL)
		object = json_loadb(text, text_len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	free(base64);
	return object;
}

int32_t
jwt_seconds_left(const char *token, int64_t now)
{
	json_t *claims = decode_claims(token), *expiry = json_object_get(claims, "exp");
	/* Any number may stand there. As a double none overflows, and none that counts loses a second. */
	double left = json_is_number(expiry) ? json_number_value(expiry) - (double)now : 0;

	json_decref(claims);
	return left >= 1 && left <= INT32_MAX ? (int32_t)left : 0;
}
