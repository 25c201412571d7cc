/* --restart and --relock: whether an end of COMMAND, or of the lock, is our end, too; and how long to pause if it is
 * not. */
#ifndef ETCDLOCKER_RESTART_H
#define ETCDLOCKER_RESTART_H

#include "base/backoff.h"
#include "etcdlocker/options.h"
#include "etcdlocker/outcome.h"

#include <stdbool.h>

struct restarts {
	const struct options *options;
	struct backoff restarts, relocks;
	nsec since; /* when COMMAND was started; 0: it was counted already, or never was */
	bool held;  /* the lock has been ours before */
};

/* True where COMMAND is started once and never again: what is for it alone can be let go then. */
bool restart_runs_once(const struct options *options);

void restart_init(struct restarts *restarts, const struct options *options);

/* COMMAND was started, so the lock is ours. */
void restart_started(struct restarts *restarts);

/* True where what OUTCOME says is no reason to give the lock up, but to start COMMAND again. */
bool restart_is_due(const struct restarts *restarts, const struct outcome *outcome);

/* True where what OUTCOME says is no reason to go, but to wait for the lock again. */
bool restart_relock_is_due(const struct restarts *restarts, const struct outcome *outcome);

/* How long to pause before that: longer each time, unless COMMAND has run for a while. */
nsec restart_pause(struct restarts *restarts, bool relock);

#endif
