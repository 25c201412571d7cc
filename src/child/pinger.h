/* Whether COMMAND is alive: it is asked, or has to say so, in good time.
 *
 * Nothing here blocks: a channel that is full is a command that does not read, which is silence. */
#ifndef CHILD_PINGER_H
#define CHILD_PINGER_H

#include "base/log.h"
#include "base/loop.h"
#include "base/strbuf.h"
#include "child/environment.h"
#include "child/spawn.h"

#include <stdbool.h>

enum ping_way {
	PING_WAY_NONE,
	PING_WAY_NODE,  /* over Node's IPC channel */
	PING_WAY_LINES, /* a line to $ETCD_LOCK_PING_FD, the same line from $ETCD_LOCK_PONG_FD */
	PING_WAY_NOTIFY /* WATCHDOG=1 to $NOTIFY_SOCKET, unasked, as sd_notify(3) has it: pinger_hear() */
};

/* WAY to ARG are the owner's to set before pinger_open(); the rest is the pinger's own. */
struct pinger {
	enum ping_way way;
	nsec period;      /* from one ping to the next */
	nsec limit;       /* for an answer */
	nsec start_limit; /* for the first one */
	/* WHY completes "the command ...". Called at most once, from the loop. */
	void (*failed)(void *arg, const char *why);
	void *arg;

	struct loop *loop;
	const struct logger *log;
	int in, out;              /* our ends; -1: none */
	struct spawn_pass far[2]; /* the command's, until it is started */
	size_t far_count;
	struct loop_event *readable, *writable;
	struct strbuf received, unsent;
	struct timer next, due, closed;
	int64_t number;       /* of the last ping */
	nsec sent;            /* when it was */
	bool outstanding;     /* and it is not answered yet */
	bool answered;        /* one has been */
	bool quiet;           /* nothing is asked or complained of any more */
	unsigned repetitions; /* of the first ping, whose answers might still come */
};

/* Make the channel. Returns 0, or -1 with errno. pinger_close() is safe either way, and after no pinger_open(). */
__attribute__((warn_unused_result)) int pinger_open(struct pinger *pinger, struct loop *loop, const struct logger *log);

/* Put what COMMAND needs for the channel into ENVIRONMENT. */
void pinger_set_variables(const struct pinger *pinger, struct environment *environment);

/* COMMAND has its ends: close ours of them. */
void pinger_handed_over(struct pinger *pinger);

/* COMMAND runs: ask, at once and then every period. */
void pinger_start(struct pinger *pinger);

/* COMMAND has sent MESSAGE to $NOTIFY_SOCKET. */
void pinger_hear(struct pinger *pinger, const char *message);

/* COMMAND is asked to end, or has ended: what it says is still read, so that it does not block, but does not matter. */
void pinger_quiet(struct pinger *pinger);

void pinger_close(struct pinger *pinger);

#endif
