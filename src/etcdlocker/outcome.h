/* The one cause of our end, and what follows from it: the exit code and the last line on stderr. */
#ifndef ETCDLOCKER_OUTCOME_H
#define ETCDLOCKER_OUTCOME_H

#include <stddef.h>

enum cause {
	CAUSE_NONE,
	CAUSE_EXITED,       /* COMMAND exited with DETAIL */
	CAUSE_KILLED,       /* COMMAND was killed by signal DETAIL */
	CAUSE_TOLD,         /* we were told to end by signal DETAIL */
	CAUSE_CONFLICT,     /* somebody else holds the lock; DETAIL is the exit code for that */
	CAUSE_NOT_ACQUIRED, /* the lock was not acquired for another reason */
	CAUSE_LOST,         /* the lock was lost */
	CAUSE_NOT_STARTED,  /* COMMAND could not be started */
	CAUSE_NOT_KILLED,   /* something that COMMAND started could not be killed */
	CAUSE_PING          /* COMMAND did not answer as it should */
};

#define EXIT_NOT_ACQUIRED 1
#define EXIT_LOST 2
#define EXIT_COMMAND 3
#define EXIT_PING 4
#define EXIT_USAGE 64
#define EXIT_BY_SIGNAL 128

struct outcome {
	enum cause cause;
	int detail;
	char text[640]; /* what happened, for people */
};

/* Record what happened. The first cause stays, whatever follows from it; only that something could not be killed
 * overrides it, as then the lock is not released, and a caller that relies on the exit code must know that. */
__attribute__((format(printf, 4, 5))) void
outcome_set(struct outcome *outcome, enum cause cause, int detail, const char *format, ...);

/* The exit code: COMMAND's own, 1 to 4, or 128 + signal. */
int outcome_code(const struct outcome *outcome);

/* What to say at the end, or NULL where COMMAND's own exit says it all. */
const char *outcome_line(const struct outcome *outcome);

#endif
