/* COMMAND's life: started, asked to end, swept up after, killed. What happens to it comes as events of the state
 * machine; what it is to do comes as the machine's actions. */
#ifndef ETCDLOCKER_COMMAND_H
#define ETCDLOCKER_COMMAND_H

#include "child/keeper.h"
#include "child/notify.h"
#include "child/patience.h"
#include "child/pinger.h"
#include "child/tty.h"
#include "etcdlocker/outcome.h"
#include "etcdlocker/setup.h"
#include "etcdlocker/states.h"
#include "base/loop.h"

#include <stdbool.h>

/* OUTCOME to ARG are the caller's to set, before command_init(); the rest is read-only. */
struct command {
	struct outcome *outcome; /* where COMMAND's end is recorded */
	void (*notify)(void *arg, enum sup_event event);
	void (*heard)(void *arg, const char *message); /* COMMAND has sent it to $NOTIFY_SOCKET */
	void *arg;

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
	int typed;              /* the terminal's signal that has ended it; 0: none */
	int child_fd;           /* signalfd for SIGCHLD */
	struct loop_event *child_event, *news_event;
	struct timer grace, kill, cgroup;
	nsec answered; /* when the keeper last answered an order to kill */
	nsec lost_at;  /* since when the lock is lost while something may live; 0: it is not */
	nsec deadline; /* the lease's, as far as the sentinel is to know; 0: none */
	struct patience patience;
};

/* Get ready, with KEEPER, which it takes. Makes the cgroup, but not at once: while a request is under way, it costs no
 * time. Returns 0, or -1 where memory or descriptors are short; command_free() is safe either way. */
__attribute__((warn_unused_result)) int
command_init(struct command *command, struct setup *setup, struct loop *loop, const struct keeper *keeper);
void command_free(struct command *command);

/* Start it with the VARIABLES (COUNT of them, "NAME=VALUE"; NULL: there was no memory for one) beside our own.
 * EV_STARTED or EV_START_FAILED follow, EV_PING_FAILED may, and EV_TREE_EMPTY when all is over. */
void command_start(struct command *command, char *const variables[], size_t count);

/* Ask it to end with SIGNO; EV_GRACE_OVER comes after GRACE. */
void command_stop(struct command *command, int signo, nsec grace);

/* It has ended: ask what it has left to end, within what remains of the grace. */
void command_sweep(struct command *command);

/* SIGKILL for all of it, again and again, until EV_TREE_EMPTY; what survives that is said. EV_UNKILLABLE comes only
 * where the lock is lost as well, 10 s later. */
void command_kill(struct command *command);

/* The lock is lost. */
void command_lock_lost(struct command *command);

/* The lock is held until DEADLINE, and the sentinel is to know: as long as we kill, it is later where that takes
 * longer. */
void command_guard(struct command *command, nsec deadline);

/* Nothing of it is left: as before its start, and the terminal is ours again. GUARD is the lock's deadline where it is
 * kept, to start COMMAND again; 0: there is nothing to guard. */
void command_rest(struct command *command, nsec guard);

/* COMMAND is not started again: the keeper can go. */
void command_dismiss(struct command *command);

#endif
