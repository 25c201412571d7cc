#include "base/strbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
strbuf_append(struct strbuf *buf, const void *bytes, size_t len, size_t limit)
{
	if (len > limit || buf->len > limit - len) {
		errno = EMSGSIZE;
		return -1;
	}
	if (buf->len + len + 1 > buf->capacity) {
		size_t capacity = buf->capacity < 256 ? 256 : buf->capacity * 2;
		char *data;

		while (capacity < buf->len + len + 1)
			capacity *= 2;
		data = realloc(buf->data, capacity);
		if (data == NULL)
			return -1;
		buf->data = data;
		buf->capacity = capacity;
	}
	if (len > 0)
		memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

void
strbuf_consume(struct strbuf *buf, size_t len)
{
	if (len == 0)
		return;
	buf->len -= len;
	memmove(buf->data, buf->data + len, buf->len + 1);
}

void
strbuf_free(struct strbuf *buf)
{
	free(buf->data);
	*buf = (struct strbuf){ 0 };
}

char *
str_printf(const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return len == -1 ? NULL : text;
}
