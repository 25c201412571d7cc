#include "etcdlocker/stay.h"

#define PAUSE_FIRST NSEC_PER_SEC
#define PAUSE_CAP (30 * NSEC_PER_SEC)

/* A command that has run for so long has not failed at its start. */
#define RUN_WELL (60 * NSEC_PER_SEC)

bool
stay_runs_once(const struct options *options)
{
	return options->restart == RESTART_NEVER && !options->relock;
}

void
stay_init(struct stay *stay, const struct options *options)
{
	*stay = (struct stay){
		.options = options,
		.restarts = { .first = PAUSE_FIRST, .cap = PAUSE_CAP },
		.relocks = { .first = PAUSE_FIRST, .cap = PAUSE_CAP },
	};
}

void
stay_started(struct stay *stay)
{
	stay->since = clock_now();
	stay->held = true;
}

static bool
has_failed(const struct outcome *outcome)
{
	return outcome->cause == CAUSE_KILLED || outcome->cause == CAUSE_PING ||
	    (outcome->cause == CAUSE_EXITED && outcome->detail != 0);
}

bool
stay_restarts(const struct stay *stay, const struct outcome *outcome)
{
	switch (stay->options->restart) {
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
stay_relocks(const struct stay *stay, const struct outcome *outcome)
{
	if (!stay->options->relock || !stay->held)
		return false;
	/* An etcd that is out of reach now was not, or we would not have held the lock. */
	return has_failed(outcome) || outcome->cause == CAUSE_EXITED || outcome->cause == CAUSE_LOST ||
	    outcome->cause == CAUSE_NOT_ACQUIRED;
}

nsec
stay_pause(struct stay *stay, bool relock)
{
	if (stay->since != 0 && clock_now() - stay->since >= RUN_WELL) {
		backoff_reset(&stay->restarts);
		backoff_reset(&stay->relocks);
	}
	/* What passes now is no time that it runs. */
	stay->since = 0;
	return backoff_next(relock ? &stay->relocks : &stay->restarts);
}
