#include "base/utf8.h"

size_t
utf8_decode(const char *text, uint32_t *point)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *c = (const unsigned char *)text;
	size_t len = c[0] < 0x80 ? 1 : c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;

	*point = c[0];
	if (len == 1)
		return c[0] == 0 ? 0 : 1;
	if (c[0] < 0xc2 || c[0] > 0xf4)
		return 0;
	*point = c[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		/* A NUL is none, so nothing is read beyond the end. */
		if ((c[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (c[i] & 0x3f);
	}
	/* One way to write each, and no surrogates. */
	if (*point < smallest[len] || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff))
		return 0;
	return len;
}

bool
utf8_is_valid(const char *text)
{
	uint32_t point;
	size_t len;

	while ((len = utf8_decode(text, &point)) > 0)
		text += len;
	return *text == '\0';
}

bool
utf8_is_visible(uint32_t point)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = { { 0, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x34f, 0x34f }, { 0x61c, 0x61c },
		{ 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
		{ 0x2060, 0x206f }, { 0x3164, 0x3164 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 },
		{ 0xfff0, 0xfffb }, { 0xe0000, 0xe0fff } };

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (point >= hidden[i].first && point <= hidden[i].last)
			return false;
	return true;
}
