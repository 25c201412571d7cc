/* The keeper: a small process between the supervisor and COMMAND. It starts COMMAND, is the subreaper of all that
 * COMMAND starts, reaps it and reports; and it is the last one that sees to its end: when the supervisor is gone,
 * whatever way, the keeper kills the whole tree. Together with the sentinel, which does the same from above, that
 * covers the death of any two of us.
 *
 * It is forked before any library is started, so that it is small: starting COMMAND from it is cheap (vfork(2) copies
 * no page tables), and an exec that hangs on a dead file system holds up nobody's renewals. It has a name and a process
 * group of its own: SIGKILL for a group, or for everything named etcdlocker, does not reach it.
 *
 * Orders and news are messages on a SOCK_SEQPACKET socket pair. */
#ifndef CHILD_KEEPER_H
#define CHILD_KEEPER_H

#include "child/environment.h"
#include "child/signals.h"
#include "child/spawn.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a keeper needs, before the fork. */
struct keeper_setup {
	char *const *argv;                  /* COMMAND */
	const struct signal_state *signals; /* what it is to have */
	_Atomic pid_t *leader;              /* in memory shared with all of us: its pid, as soon as it has one */
	struct spawn_failure *failure;      /* there, too: why it could not be started */
	/* Asked right before a start: whether number NUMBER is still wanted. The order might have waited for a keeper
	 * that was stopped, or starved, and the lock might be lost by now. */
	bool (*may_start)(void *arg, int number);
	void *arg;
	bool group;      /* signals for COMMAND are for its process group */
	bool once;       /* COMMAND is started once: what is for it alone is closed then */
	char *own_words; /* our own command line, in which the keeper writes its name */
	size_t own_words_len;
};

/* The supervisor's end. */
struct keeper {
	pid_t pid;  /* 0: none was started, or it is gone */
	int socket; /* non-blocking, for reading news; -1 */
};

/* What its exit status is when everything below it is dead. */
#define KEEPER_EMPTY 0

/* Fork one. Returns 0, or -1 with errno. In the keeper it does not return. */
__attribute__((warn_unused_result)) int keeper_fork(struct keeper *keeper, const struct keeper_setup *setup);

/* --- orders --- */

/* How COMMAND is to be started. */
struct keeper_start {
	int number; /* for may_start() */
	const struct environment *environment;
	const struct spawn_pass *pass;
	size_t pass_count; /* up to 2 */
	int cgroup, tty;   /* or -1 */
};

/* KEEPER_STARTED or KEEPER_FAILED follow. Returns 0, or -1 with errno, where the keeper did not get the order. */
__attribute__((warn_unused_result)) int keeper_start(const struct keeper *keeper, const struct keeper_start *start);

/* Send SIGNO to COMMAND (with GROUP of the setup, to its process group), if it has not been reaped; where it
 * ASKS_TO_END, followed by CONT, for a stopped process gets nothing else. KEEPER_UNSENT follows where that is not
 * allowed. An order for which there is no room, since thousands are unread, is lost. */
void keeper_signal(const struct keeper *keeper, int signo, bool asks_to_end);

/* Send SIGNO to everything that COMMAND has started. */
void keeper_signal_all(const struct keeper *keeper, int signo);

/* Kill everything, round after round, until it is dead. KEEPER_ALIVE follows at once; order it again to hear that. */
void keeper_kill(const struct keeper *keeper);

/* Where nothing of COMMAND is left: have the keeper end, without waiting for that. Harmless at any time. */
void keeper_dismiss(struct keeper *keeper);

/* --- news --- */

enum keeper_what {
	KEEPER_STARTED, /* COMMAND runs: PID */
	KEEPER_FAILED,  /* it could not be started: FAILURE, and EMPTY follows */
	KEEPER_ENDED,   /* it has ended: STATUS, as wait(2) has it; EMPTIED: and it has left nothing */
	KEEPER_STOPPED, /* it was stopped: STATUS */
	KEEPER_UNSENT,  /* it did not get signal STATUS, for the errno FAILURE.ERRNUM */
	KEEPER_ALIVE,   /* the order to kill has been read */
	KEEPER_EMPTIED  /* nothing of the tree is left, after a start */
};

struct keeper_news {
	enum keeper_what what;
	pid_t pid;
	int status;
	bool emptied;
	struct spawn_failure failure;
};

/* The next piece of news. Returns 1; 0 where there is none for now; -1 where the keeper is gone. */
int keeper_read(const struct keeper *keeper, struct keeper_news *news);

/* --- between the two ends --- */

enum keeper_verb { KEEPER_START, KEEPER_SIGNAL, KEEPER_SIGNAL_ALL, KEEPER_KILL };

/* What begins an order. START is followed by its variables, each with its NUL. */
struct keeper_order {
	enum keeper_verb verb;
	int signo, number;
	bool asks_to_end;
	bool own_pid, has_cgroup, has_tty;
	size_t count, pass_count;
	int pass_to[2];
};

/* Descriptors that come with START: cgroup, terminal, those that are passed on. */
#define KEEPER_DESCRIPTORS 4

/* The longest order: a variable is the lock's name at most, which was a word of a command line (128 KiB). */
#define KEEPER_MESSAGE ((size_t)160 << 10)

#endif
