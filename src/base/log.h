/* Where messages go. A logger is a function of the owner's and a threshold; this layer and those
 * above it write to no descriptor of their own accord. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LEVEL_ERROR, LEVEL_WARNING, LEVEL_NOTICE, LEVEL_DEBUG };

struct logger {
	/* Gets one line, without a newline, printable (see log_printable). NULL: nobody listens. */
	void (*write)(void *arg, int level, const char *line);
	void *arg;
	enum log_level threshold; /* messages above it are dropped before they are formatted */
};

/* The longest line; what is longer is cut and ends in "...". */
#define LOG_LINE 1024

/* Format and hand on one line. Safe with a NULL logger. */
__attribute__((format(printf, 3, 4))) void
log_msg(const struct logger *logger, enum log_level level, const char *format, ...);

/* The same, followed by ": " and the text of ERRNUM. */
__attribute__((format(printf, 4, 5))) void
log_errno(const struct logger *logger, enum log_level level, int errnum, const char *format, ...);

/* Replace in place, with '?', what TEXT must not have, as it might come from the network: control characters, which
 * move a terminal's cursor; characters that have no width or change the direction, with which one text can pose as
 * another; bytes that are no UTF-8. TEXT does not grow. */
void log_printable(char *text);

#endif
