/* --restart and --relock: whether an end of COMMAND, or of the lock, is our end, too; and how long to pause if it is
 * not. */
#ifndef ETCDLOCKER_STAY_H
#define ETCDLOCKER_STAY_H

#include "base/backoff.h"
#include "etcdlocker/options.h"
#include "etcdlocker/outcome.h"

#include <stdbool.h>

struct stay {
	const struct options *options;
	struct backoff restarts, relocks;
	nsec since; /* when COMMAND was started; 0: it was counted already, or never was */
	bool held;  /* the lock has been ours before */
};

/* True where COMMAND is started once and never again: what is for it alone can be let go then. */
bool stay_runs_once(const struct options *options);

void stay_init(struct stay *stay, const struct options *options);

/* COMMAND was started, so the lock is ours. */
void stay_started(struct stay *stay);

/* True where what OUTCOME says is no reason to give the lock up, but to start COMMAND again. */
bool stay_restarts(const struct stay *stay, const struct outcome *outcome);

/* True where what OUTCOME says is no reason to go, but to wait for the lock again. */
bool stay_relocks(const struct stay *stay, const struct outcome *outcome);

/* How long to pause before that: longer each time, unless COMMAND has run for a while. */
nsec stay_pause(struct stay *stay, bool relock);

#endif
