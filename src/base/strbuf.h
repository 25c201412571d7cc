/* A growing byte buffer with a ceiling, always NUL-terminated behind its last byte. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stddef.h>

struct strbuf {
	char *data; /* NULL while empty and never grown */
	size_t len; /* bytes, without the NUL */
	size_t capacity;
};

/* Append LEN bytes. Returns 0, or -1 with errno ENOMEM (no memory) or EMSGSIZE (it would exceed LIMIT
 * bytes); then nothing was appended. */
__attribute__((warn_unused_result)) int strbuf_append(struct strbuf *buf, const void *bytes, size_t len, size_t limit);

/* Drop the first LEN bytes. */
void strbuf_consume(struct strbuf *buf, size_t len);

/* Free the bytes; the buffer is empty and usable again. */
void strbuf_free(struct strbuf *buf);

/* asprintf() that returns the string, for the caller to free, or NULL when memory is short. */
__attribute__((format(printf, 1, 2), warn_unused_result)) char *str_printf(const char *format, ...);

#endif
