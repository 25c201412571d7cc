/* What there is to a lock. lock.h says which file does what with it. */
#ifndef LOCK_LOCK_STRUCT_H
#define LOCK_LOCK_STRUCT_H

#include "base/backoff.h"
#include "lock/client.h"
#include "lock/lock_events.h"
#include "lock/protocol.h"

/* How we came to be the first in the queue, which decides about the lock delay. */
enum succession {
	SUCCESSION_NONE,     /* nobody was ahead of us when we came */
	SUCCESSION_WAITING,  /* somebody is ahead of us */
	SUCCESSION_CLEAN,    /* the one ahead of us said that its command was dead */
	SUCCESSION_VANISHED, /* it was gone at GONE, and has not been heard to say so: its command might be dying */
};

/* Invariants:
 * - CONTENDER.deadline is not 0 exactly while STATE is HELD or DOUBTFUL; then EXPIRED is armed, and EXPIRING unless
 *   EXPIRING_SAID;
 * - CONNECT is armed only before the lock is in the queue, WAIT only before it is ours, RELEASE exactly while
 * RELEASING;
 * - in IDLE and LOST no timer is armed, and the protocol does nothing;
 * - ERROR is the first cause of what STATE came from. */
struct etcdlock {
	struct etcdlock_client *client;
	struct contender contender; /* what the protocol sees of it */
	char *key, *id;
	struct timing asked; /* as set */
	etcdlock_event_fn on_event;
	void *arg;

	enum etcdlock_state state, before; /* BEFORE: until the last event */
	enum etcdlock_failure failure;
	/* Texts; NULL: none. lock_words.h sets them. */
	char *error;   /* the first cause */
	char *trouble; /* the last try that failed */
	bool answered; /* and what was wrong was the answer */
	bool refused;  /* RELEASING because it was not acquired */
	bool given;    /* RELEASING, and others can have it: what is left to do is to clean up */

	const struct protocol *ops;
	void *protocol;
	struct lock_events events;

	struct lease_term term;
	enum succession succession;
	nsec gone;
	nsec vanished;   /* when a holder, whoever it was, was last found gone that had not said so, and never will; 0:
			  * never. Who comes and goes since does not know of it, and says nothing of it */
	nsec clear;      /* while first in the queue: when the lock delay is over; 0: there is none */
	nsec sole_since; /* since when only one is ahead of us, as far as we have seen; 0: ever */
	nsec renewing;   /* when the last renewal was due */
	nsec began;      /* when it was asked for */
	bool spread;     /* the first renewal is planned */
	bool expiring_said, doubt_said;
	int64_t revision;
	char *holder, *holder_key; /* the first in the queue, when there was news of it */
	long ahead;
	bool far; /* there might be more than AHEAD, and HOLDER is not known */

	struct timer refresh, doubt, expiring, expired, wait, connect, again, release;
	struct backoff rejoin;

	enum etcdlock_event pending[ETCDLOCK_EVENTS];
	size_t pending_count;
	struct loop_event *deliver;
	bool *freed; /* set while an event is delivered: the callback may free the lock */
};

/* True in the states that own the lock. */
static inline bool
lock_owned(const struct etcdlock *lock)
{
	return lock->state == ETCDLOCK_HELD || lock->state == ETCDLOCK_DOUBTFUL;
}

#endif
