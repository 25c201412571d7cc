#include "lock/lock_states.h"

#include <stdbool.h>

static const char *const event_names[LOCK_EVENTS] = {
	[LOCK_ASKED_FOR] = "etcdlock_lock()",
	[LOCK_GIVEN_UP] = "etcdlock_unlock()",
	[LOCK_RECLAIMED] = "etcdlock_reclaim()",
	[LOCK_GRANTED] = "lease granted",
	[LOCK_BEHIND] = "placed behind others",
	[LOCK_CONFLICT] = "placed behind others, not to wait",
	[LOCK_FIRST] = "placed first",
	[LOCK_FIRST_EARLY] = "placed first, lock delay not over",
	[LOCK_FIRST_WORN] = "placed first, lease worn",
	[LOCK_AHEAD_GONE] = "the one ahead gone",
	[LOCK_KEY_GONE] = "own key gone",
	[LOCK_RENEWED] = "renewed",
	[LOCK_EXPOSED] = "a shorter lease asked for",
	[LOCK_REFRESH_DUE] = "refresh due",
	[LOCK_AGAIN] = "pause over",
	[LOCK_TROUBLE] = "a try failed",
	[LOCK_HOPELESS] = "no endpoint is an etcd",
	[LOCK_REFUSED] = "refused",
	[LOCK_NO_MEMORY] = "no memory",
	[LOCK_UNREACHABLE] = "connect timeout",
	[LOCK_WAIT_OVER] = "wait over",
	[LOCK_EXPIRING] = "deadline - grace",
	[LOCK_EXPIRED] = "deadline",
	[LOCK_RELEASED] = "released",
	[LOCK_RELEASE_OVER] = "release timeout",
};

static const char *const action_names[LOCK_ACTIONS] = {
	[LOCK_DO_NOTHING] = "-",
	[LOCK_DO_BEGIN] = "begin",
	[LOCK_DO_JOIN] = "join",
	[LOCK_DO_REJOIN] = "join again, after a pause",
	[LOCK_DO_FOLLOW] = "follow",
	[LOCK_DO_WAIT] = "follow the one ahead",
	[LOCK_DO_DELAY] = "look after the lock delay",
	[LOCK_DO_LOOK] = "look",
	[LOCK_DO_RENEW] = "renew",
	[LOCK_DO_RENEW_SOON] = "renew after a moment",
	[LOCK_DO_PLAN] = "plan the next renewal, look",
	[LOCK_DO_COUNT] = "count the lease, RENEWED",
	[LOCK_DO_SHORTEN] = "count the shorter lease, RENEWED",
	[LOCK_DO_ACQUIRE] = "count the lease, ACQUIRED",
	[LOCK_DO_DOUBT] = "say it, if it lasts",
	[LOCK_DO_WARN] = "EXPIRING",
	[LOCK_DO_LOSE] = "DROPPED",
	[LOCK_DO_RELEASE] = "release",
	[LOCK_DO_GIVE_UP] = "give up",
	[LOCK_DO_RECLAIM] = "release what a dead process had",
	[LOCK_DO_FAIL_CONFLICT] = "fail: conflict",
	[LOCK_DO_FAIL_REFUSED] = "fail: refused",
	[LOCK_DO_FAIL_MEMORY] = "fail: no memory",
	[LOCK_DO_FAIL_UNREACHABLE] = "fail: unreachable",
	[LOCK_DO_FAIL_WAIT] = "fail: wait over",
	[LOCK_DO_END] = "RELEASED or REFUSED",
	[LOCK_DO_END_UNRELEASED] = "RELEASED or REFUSED, the lease ends by itself",
};

/* What ends an acquisition, or begins it anew, in any of its states. */
#define ACQUIRING \
	[LOCK_GIVEN_UP] = { ETCDLOCK_RELEASING, LOCK_DO_GIVE_UP }, [LOCK_BEHIND] = { ETCDLOCK_WAITING, LOCK_DO_WAIT }, \
	[LOCK_CONFLICT] = { ETCDLOCK_RELEASING, LOCK_DO_FAIL_CONFLICT }, \
	[LOCK_FIRST] = { ETCDLOCK_HELD, LOCK_DO_ACQUIRE }, [LOCK_FIRST_EARLY] = { ETCDLOCK_WAITING, LOCK_DO_DELAY }, \
	[LOCK_FIRST_WORN] = { ETCDLOCK_WAITING, LOCK_DO_RENEW }, \
	[LOCK_KEY_GONE] = { ETCDLOCK_GRANTING, LOCK_DO_REJOIN }, \
	[LOCK_REFUSED] = { ETCDLOCK_RELEASING, LOCK_DO_FAIL_REFUSED }, \
	[LOCK_NO_MEMORY] = { ETCDLOCK_RELEASING, LOCK_DO_FAIL_MEMORY }, \
	[LOCK_UNREACHABLE] = { ETCDLOCK_RELEASING, LOCK_DO_FAIL_UNREACHABLE }, \
	[LOCK_WAIT_OVER] = { ETCDLOCK_RELEASING, LOCK_DO_FAIL_WAIT }

/* What can happen to a lock that is ours. STAY is its state. */
#define OWNED(STAY) \
	[LOCK_ASKED_FOR] = { STAY, LOCK_DO_RENEW }, [LOCK_REFRESH_DUE] = { STAY, LOCK_DO_RENEW }, \
	[LOCK_NO_MEMORY] = { STAY, LOCK_DO_RENEW_SOON }, [LOCK_AGAIN] = { STAY, LOCK_DO_FOLLOW }, \
	[LOCK_GIVEN_UP] = { ETCDLOCK_RELEASING, LOCK_DO_RELEASE }, [LOCK_RENEWED] = { ETCDLOCK_HELD, LOCK_DO_COUNT }, \
	[LOCK_EXPOSED] = { STAY, LOCK_DO_SHORTEN }, [LOCK_KEY_GONE] = { ETCDLOCK_LOST, LOCK_DO_LOSE }, \
	[LOCK_EXPIRING] = { ETCDLOCK_DOUBTFUL, LOCK_DO_WARN }, [LOCK_EXPIRED] = { ETCDLOCK_LOST, LOCK_DO_LOSE }

/* An entry has an action or another next state; what is not entered changes nothing. */
static const struct lock_step table[ETCDLOCK_STATES][LOCK_EVENTS] = {
	[ETCDLOCK_IDLE] = {
		[LOCK_ASKED_FOR] = { ETCDLOCK_GRANTING, LOCK_DO_BEGIN },
		[LOCK_RECLAIMED] = { ETCDLOCK_RELEASING, LOCK_DO_RECLAIM },
	},
	[ETCDLOCK_GRANTING] = {
		ACQUIRING,
		[LOCK_GRANTED] = { ETCDLOCK_CONTENDING, LOCK_DO_NOTHING },
		[LOCK_HOPELESS] = { ETCDLOCK_RELEASING, LOCK_DO_FAIL_REFUSED },
		[LOCK_AGAIN] = { ETCDLOCK_GRANTING, LOCK_DO_JOIN },
	},
	[ETCDLOCK_CONTENDING] = {
		ACQUIRING,
		[LOCK_GRANTED] = { ETCDLOCK_CONTENDING, LOCK_DO_NOTHING },
		[LOCK_HOPELESS] = { ETCDLOCK_RELEASING, LOCK_DO_FAIL_REFUSED },
	},
	[ETCDLOCK_WAITING] = {
		ACQUIRING,
		[LOCK_AHEAD_GONE] = { ETCDLOCK_WAITING, LOCK_DO_LOOK },
		[LOCK_RENEWED] = { ETCDLOCK_WAITING, LOCK_DO_PLAN },
		[LOCK_REFRESH_DUE] = { ETCDLOCK_WAITING, LOCK_DO_RENEW },
		[LOCK_AGAIN] = { ETCDLOCK_WAITING, LOCK_DO_LOOK },
	},
	[ETCDLOCK_HELD] = {
		OWNED(ETCDLOCK_HELD),
		[LOCK_TROUBLE] = { ETCDLOCK_DOUBTFUL, LOCK_DO_DOUBT },
		[LOCK_HOPELESS] = { ETCDLOCK_DOUBTFUL, LOCK_DO_DOUBT },
	},
	[ETCDLOCK_DOUBTFUL] = {
		OWNED(ETCDLOCK_DOUBTFUL),
	},
	[ETCDLOCK_RELEASING] = {
		[LOCK_RELEASED] = { ETCDLOCK_IDLE, LOCK_DO_END },
		[LOCK_RELEASE_OVER] = { ETCDLOCK_IDLE, LOCK_DO_END_UNRELEASED },
	},
	[ETCDLOCK_LOST] = {
		[LOCK_GIVEN_UP] = { ETCDLOCK_RELEASING, LOCK_DO_RELEASE },
	},
};

struct lock_step
lock_states_step(enum etcdlock_state state, enum lock_event event)
{
	struct lock_step step = table[state][event];

	/* All zeros: not entered. */
	if (step.next == ETCDLOCK_IDLE && step.action == LOCK_DO_NOTHING)
		step.next = state;
	return step;
}

const char *
lock_event_name(enum lock_event event)
{
	return event_names[event];
}

const char *
lock_action_name(enum lock_action action)
{
	return action_names[action];
}
