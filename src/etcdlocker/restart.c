#include "etcdlocker/restart.h"

#define PAUSE_FIRST NSEC_PER_SEC
#define PAUSE_CAP (30 * NSEC_PER_SEC)

/* A command that has run for so long has not failed at its start. */
#define RUN_WELL (60 * NSEC_PER_SEC)

bool
restart_runs_once(const struct options *options)
{
	return options->restart == RESTART_NEVER && !options->relock;
}

void
restart_init(struct restarts *restarts, const struct options *options)
{
	*restarts = (struct restarts){
		.options = options,
		.restarts = { .first = PAUSE_FIRST, .cap = PAUSE_CAP },
		.relocks = { .first = PAUSE_FIRST, .cap = PAUSE_CAP },
	};
}

void
restart_started(struct restarts *restarts)
{
	restarts->since = clock_now();
	restarts->held = true;
}

static bool
has_failed(const struct outcome *outcome)
{
	return outcome->cause == CAUSE_KILLED || outcome->cause == CAUSE_PING ||
	    (outcome->cause == CAUSE_EXITED && outcome->detail != 0);
}

bool
restart_is_due(const struct restarts *restarts, const struct outcome *outcome)
{
	switch (restarts->options->restart) {
	case RESTART_NEVER:
		return false;
	case RESTART_ON_FAILURE:
		return has_failed(outcome);
	case RESTART_ALWAYS:
		return has_failed(outcome) || outcome->cause == CAUSE_EXITED;
	}
	return false;
}

bool
restart_relock_is_due(const struct restarts *restarts, const struct outcome *outcome)
{
	if (!restarts->options->relock || !restarts->held)
		return false;
	/* An etcd that is out of reach now was not, or we would not have held the lock. */
	return has_failed(outcome) || outcome->cause == CAUSE_EXITED || outcome->cause == CAUSE_LOST ||
	    outcome->cause == CAUSE_NOT_ACQUIRED;
}

nsec
restart_pause(struct restarts *restarts, bool relock)
{
	if (restarts->since != 0 && clock_now() - restarts->since >= RUN_WELL) {
		backoff_reset(&restarts->restarts);
		backoff_reset(&restarts->relocks);
	}
	/* What passes now is no time that it runs. */
	restarts->since = 0;
	return backoff_next(relock ? &restarts->relocks : &restarts->restarts);
}
