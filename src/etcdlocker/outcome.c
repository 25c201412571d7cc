#include "etcdlocker/outcome.h"

#include <stdarg.h>
#include <stdio.h>

void
outcome_set(struct outcome *outcome, enum cause cause, int detail, const char *format, ...)
{
	va_list args;

	if (outcome->cause != CAUSE_NONE && cause != CAUSE_NOT_KILLED)
		return;
	outcome->cause = cause;
	outcome->detail = detail;
	va_start(args, format);
	vsnprintf(outcome->text, sizeof(outcome->text), format, args);
	va_end(args);
}

int
outcome_code(const struct outcome *outcome)
{
	switch (outcome->cause) {
	case CAUSE_NONE:
		return 0;
	case CAUSE_EXITED:
	case CAUSE_CONFLICT:
		return outcome->detail;
	case CAUSE_KILLED:
	case CAUSE_TOLD:
		return EXIT_BY_SIGNAL + outcome->detail;
	case CAUSE_NOT_ACQUIRED:
		return EXIT_NOT_ACQUIRED;
	case CAUSE_LOST:
		return EXIT_LOST;
	case CAUSE_NOT_STARTED:
	case CAUSE_NOT_KILLED:
		return EXIT_COMMAND;
	case CAUSE_PING:
		return EXIT_PING;
	}
	return EXIT_NOT_ACQUIRED;
}

const char *
outcome_line(const struct outcome *outcome)
{
	/* A user who asked for 0 on a conflict calls that a success, and a success has nothing to say. */
	if (outcome->cause == CAUSE_NONE || outcome->cause == CAUSE_EXITED ||
	    (outcome->cause == CAUSE_CONFLICT && outcome->detail == 0))
		return NULL;
	return outcome->text;
}
