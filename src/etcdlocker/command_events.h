/* What happens to COMMAND, queued for the supervisor. Each kind is in the queue once at most, so there is room for
 * all, and posting cannot fail. */
#ifndef ETCDLOCKER_COMMAND_EVENTS_H
#define ETCDLOCKER_COMMAND_EVENTS_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>

enum command_what {
	COMMAND_STARTED,
	COMMAND_NOT_STARTED, /* TEXT says why; COMMAND_TREE_EMPTY follows */
	COMMAND_PING_FAILED, /* TEXT completes "the command " */
	COMMAND_ENDED,       /* STATUS, as wait(2) has it; TYPED */
	COMMAND_GRACE_OVER,
	COMMAND_TREE_EMPTY, /* nothing of it is left */
	COMMAND_KILLING,    /* SIGKILL was sent, once more, to all of it */
	COMMAND_UNKILLABLE, /* the lock is lost, and TEXT says what lives */
	COMMAND_KEEPER_LOST /* nobody can start it any more; STATUS: 1 where something was started, which is ours to
			       kill */
};
#define COMMAND_WHATS (COMMAND_KEEPER_LOST + 1)

struct command_event {
	enum command_what what;
	int status;
	int typed; /* the terminal's signal that has ended it; 0: none */
	char text[640];
};

struct command_events {
	struct loop *loop;
	struct task task; /* the supervisor's: there is something in here */
	struct command_event queue[COMMAND_WHATS];
	size_t count;
};

/* RUN is called with ARG from the loop, when something was posted. */
void command_events_init(struct command_events *events, struct loop *loop, void (*run)(void *arg), void *arg);
void command_events_clear(struct command_events *events);

/* Queue an event of the kind WHAT, with a text in printf()'s format; an event of that kind that is queued already stays
 * as it is. */
__attribute__((format(printf, 3, 4))) void
command_events_post(struct command_events *events, enum command_what what, const char *format, ...);

/* The same of one with numbers. */
void command_events_post_fact(struct command_events *events, enum command_what what, int status, int typed);

/* The oldest event; false where there is none. */
bool command_events_next(struct command_events *events, struct command_event *event);

#endif
