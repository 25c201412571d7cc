#include "base/base64.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *
base64_encode(const void *bytes, size_t len)
{
	const unsigned char *in = bytes;
	char *text, *out;

	text = out = calloc((len + 2) / 3 + 1, 4);
	if (text == NULL)
		return NULL;
	for (; len >= 3; in += 3, len -= 3) {
		*out++ = alphabet[in[0] >> 2];
		*out++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
		*out++ = alphabet[(in[1] & 15) << 2 | in[2] >> 6];
		*out++ = alphabet[in[2] & 63];
	}
	if (len > 0) {
		unsigned second = len == 2 ? in[1] : 0;

		*out++ = alphabet[in[0] >> 2];
		*out++ = alphabet[(in[0] & 3) << 4 | second >> 4];
		*out++ = len == 2 ? alphabet[(second & 15) << 2] : '=';
		*out++ = '=';
	}
	*out = '\0';
	return text;
}

static int
sextet(char c)
{
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);

	return at == NULL ? -1 : (int)(at - alphabet);
}

/* Decodes the four characters at TEXT into OUT. Returns how many bytes they hold, -1 if malformed. */
static int
decode_quartet(const char *text, unsigned char *out)
{
	int a = sextet(text[0]), b = sextet(text[1]), c = sextet(text[2]), d = sextet(text[3]);

	if (a < 0 || b < 0)
		return -1;
	out[0] = (unsigned char)(a << 2 | b >> 4);
	if (text[2] == '=' && text[3] == '=')
		return (b & 15) == 0 ? 1 : -1;
	if (c < 0)
		return -1;
	out[1] = (unsigned char)((b & 15) << 4 | c >> 2);
	if (text[3] == '=')
		return (c & 3) == 0 ? 2 : -1;
	if (d < 0)
		return -1;
	out[2] = (unsigned char)((c & 3) << 6 | d);
	return 3;
}

char *
base64_decode(const char *text, size_t *len)
{
	size_t quartets = strlen(text) / 4;
	unsigned char *bytes;

	if (strlen(text) % 4 != 0) {
		errno = EINVAL;
		return NULL;
	}
	bytes = malloc(quartets * 3 + 1);
	if (bytes == NULL)
		return NULL;
	*len = 0;
	for (size_t i = 0; i < quartets; i++) {
		int got = decode_quartet(text + 4 * i, bytes + *len);

		if (got < 0 || (got < 3 && i + 1 < quartets)) {
			free(bytes);
			errno = EINVAL;
			return NULL;
		}
		*len += (size_t)got;
	}
	bytes[*len] = '\0';
	return (char *)bytes;
}
