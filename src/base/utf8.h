/* UTF-8 (RFC 3629). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character that NUL-terminated TEXT begins with. Returns its length in bytes, 1 to 4, and it in *POINT; 0 where
 * TEXT does not begin with a character. */
size_t utf8_decode(const char *text, uint32_t *point);

/* True where all of TEXT is UTF-8. */
bool utf8_is_valid(const char *text);

/* False for controls, and for what has no width or changes the direction of what follows (Unicode's default ignorable
 * and bidirectional formatting characters, as far as they are in use). */
bool utf8_is_visible(uint32_t point);

#endif
