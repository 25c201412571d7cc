/* The supervisor's inside: what it knows, and what it does when its table says so. */
#ifndef ETCDLOCKER_SUPERVISOR_ACT_H
#define ETCDLOCKER_SUPERVISOR_ACT_H

#include "base/loop.h"
#include "etcdlocker/command.h"
#include "etcdlocker/outcome.h"
#include "etcdlocker/restart.h"
#include "etcdlocker/setup.h"
#include "etcdlocker/states.h"
#include "lock/etcdlock.h"

struct supervisor {
	struct setup *setup;
	const struct options *options;
	const struct logger *log;
	enum sup_state state;
	struct outcome outcome;
	char leftover[640]; /* what could not be released */
	struct loop *loop;
	struct etcdlock_client *client;
	struct etcdlock *lock;
	struct command command;
	nsec deadline;  /* the lease's; 0: there is nothing to guard */
	nsec heartbeat; /* while everything is being killed: when the next round has begun; else 0 */
	struct loop_event *lifeline_event;
	bool exec_hangs;
	bool queue_said;       /* for whom we wait */
	int stop_signal;       /* the last stop signal that we got; 0: none */
	nsec stopped_at;       /* when that was */
	struct task not_asked; /* the lock could not be asked for again */
	struct timer exec_limit, hurry;
	struct restarts restarts;
	struct timer watchdog; /* the service manager wants to hear from us */
	struct timer pause;    /* until COMMAND is started, or the lock asked for, again */
};

/* Do what ACTION says. What follows from it comes as an event, later. */
void supervisor_perform(struct supervisor *sup, enum sup_action action);

/* Tell the sentinel by when COMMAND must be dead, or it kills it, and us. As long as we kill it, that is later where
 * that takes longer. */
void supervisor_guard(struct supervisor *sup);

/* The same, and the lease's deadline is DEADLINE; 0: there is nothing to guard. */
void supervisor_guard_until(struct supervisor *sup, nsec deadline);

/* What COMMAND is to get for SIGNO; 0: nothing. */
int supervisor_rewritten(const struct supervisor *sup, int signo);

#endif
