/* COMMAND's life: started, asked to end, swept up after, killed. What happens to it is reported by events; what it is
 * to do is said by the functions here. It knows nothing of the lock but that it might be lost. */
#ifndef ETCDLOCKER_COMMAND_H
#define ETCDLOCKER_COMMAND_H

#include "base/loop.h"
#include "child/keeper.h"
#include "child/notify.h"
#include "child/patience.h"
#include "child/pinger.h"
#include "child/tty.h"
#include "etcdlocker/command_events.h"
#include "etcdlocker/setup.h"

#include <stdbool.h>

/* HEARD and ARG are the caller's to set, before command_init(); the rest is read-only.
 * Invariants: BEGUN from an order to start until COMMAND_TREE_EMPTY is reported; KILLING only while BEGUN was, and KILL
 * is armed then; GRACE is armed from the stop signal on, until it is over or all is dead. */
struct command {
	void (*heard)(void *arg, const char *message); /* COMMAND has sent it to $NOTIFY_SOCKET */
	void *arg;

	struct command_events events;
	struct setup *setup;
	const struct logger *log;
	struct loop *loop;
	struct keeper keeper;
	struct tty tty;
	struct pinger pinger;
	struct notify listener; /* for what COMMAND says to its service manager */
	pid_t leader;           /* COMMAND; 0: not started, or gone */
	int number;             /* of its last start */
	bool begun;             /* it was to be started, and the tree has not been seen empty since */
	bool cgroup_worn;       /* it was killed before this start */
	bool killing;           /* SIGKILL has been sent to everything, and is sent again until nothing is left */
	bool unsent_said;       /* that it cannot be signalled */
	int child_fd;           /* signalfd for SIGCHLD */
	struct loop_event *child_event, *news_event;
	struct timer grace, kill, cgroup;
	nsec answered; /* when the keeper last answered an order to kill */
	nsec lost_at;  /* since when the lock is lost while something may live; 0: it is not */
	struct patience patience;
};

/* Get ready, with KEEPER, which it takes. RUN is called with ARG from the loop when there are EVENTS. Makes the cgroup,
 * but not at once: while a request is under way, it costs no time. Returns 0, or -1 where memory or descriptors are
 * short; command_free() is safe either way. */
__attribute__((warn_unused_result)) int command_init(struct command *command, struct setup *setup, struct loop *loop,
    const struct keeper *keeper, void (*run)(void *arg), void *arg);
void command_free(struct command *command);

/* Start it with ENVIRONMENT beside what we set ourselves. COMMAND_STARTED or COMMAND_NOT_STARTED follow,
 * COMMAND_PING_FAILED may, and COMMAND_TREE_EMPTY when all is over. */
void command_start(struct command *command, struct environment *environment);

/* Ask it to end with SIGNO; COMMAND_GRACE_OVER comes after GRACE. */
void command_stop(struct command *command, int signo, nsec grace);

/* It has ended: ask what it has left to end, within what remains of the grace. TOLD: it was told to end, so nobody
 * expects anything of it to go on. */
void command_sweep(struct command *command, bool told);

/* SIGKILL for all of it, again and again, each time with COMMAND_KILLING, until COMMAND_TREE_EMPTY; what survives that
 * is said. COMMAND_UNKILLABLE comes only where the lock is lost as well, 10 s later. */
void command_kill(struct command *command);

/* The lock is lost: nothing keeps others from starting theirs. */
void command_lock_lost(struct command *command);

/* Nothing of it is left: as before its start, and the terminal is ours again. */
void command_reset(struct command *command);

/* COMMAND is not started again: the keeper can go. */
void command_dismiss(struct command *command);

#endif
