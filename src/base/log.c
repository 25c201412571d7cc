#include "base/log.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
log_printable(char *text)
{
	const char *from = text;
	char *to = text;

	while (*from != '\0') {
		uint32_t point;
		size_t len = utf8_decode(from, &point);

		if (len == 0 || !utf8_is_visible(point)) {
			*to++ = '?';
			from += len == 0 ? 1 : len;
			continue;
		}
		memmove(to, from, len);
		to += len;
		from += len;
	}
	*to = '\0';
}

__attribute__((format(printf, 4, 0))) static void
log_line(const struct logger *logger, enum log_level level, const char *suffix, const char *format, va_list args)
{
	char line[LOG_LINE];
	int len;

	len = vsnprintf(line, sizeof(line), format, args);
	if (len >= 0 && (size_t)len < sizeof(line) && suffix != NULL)
		len += snprintf(line + len, sizeof(line) - (size_t)len, ": %s", suffix);
	if (len < 0 || (size_t)len >= sizeof(line))
		strcpy(line + sizeof(line) - sizeof("..."), "...");
	log_printable(line);
	logger->write(logger->arg, (int)level, line);
}

static int
is_heard(const struct logger *logger, enum log_level level)
{
	return logger != NULL && logger->write != NULL && level <= logger->threshold;
}

void
log_msg(const struct logger *logger, enum log_level level, const char *format, ...)
{
	va_list args;

	if (!is_heard(logger, level))
		return;
	va_start(args, format);
	log_line(logger, level, NULL, format, args);
	va_end(args);
}

/* strerror_r(3) has two shapes: POSIX's fills BUF and returns an error, GNU's returns the text. */
__attribute__((unused)) static const char *
text_of_posix(int error, const char *buf)
{
	return error == 0 ? buf : "an unknown error";
}

__attribute__((unused)) static const char *
text_of_gnu(const char *text, const char *buf)
{
	(void)buf;
	return text;
}

#define ERROR_TEXT(returned, buf) _Generic((returned), int : text_of_posix, char * : text_of_gnu)((returned), (buf))

void
log_errno(const struct logger *logger, enum log_level level, int errnum, const char *format, ...)
{
	char buf[128];
	va_list args;

	if (!is_heard(logger, level))
		return;
	va_start(args, format);
	log_line(logger, level, ERROR_TEXT(strerror_r(errnum, buf, sizeof(buf)), buf), format, args);
	va_end(args);
}
