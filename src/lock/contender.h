/* One contender for a lock, as its protocol knows it; and what the protocol's reports are about. */
#ifndef LOCK_CONTENDER_H
#define LOCK_CONTENDER_H

#include "base/clock.h"
#include "etcd/session_struct.h"
#include "lock/lease.h"
#include "lock/timing.h"

struct lock_events;

/* The lock writes it, its protocol reads it. */
struct contender {
	struct session *session;
	const char *key, *id;
	struct timing timing; /* as it works out; it can change at any time */
	enum renewal renewal;
	unsigned generation; /* grows with each task that the protocol is given, and is in its reports */
	nsec deadline;       /* on CLOCK_BOOTTIME, while the lock is ours; else 0 */
	bool lost;           /* it was ours, and was lost, since it was asked for */
	struct lock_events *events;
};

/* What a protocol works for. */
enum goal {
	GOAL_NONE,    /* nothing: it sends nothing, and what still comes in means nothing */
	GOAL_QUEUE,   /* a place in the queue */
	GOAL_HOLD,    /* to keep that place, for the lock is ours */
	GOAL_RECLAIM, /* to find what a dead process has left, and then to leave */
	GOAL_RELEASE  /* that nothing of ours is left in etcd */
};

/* True while the lock might be ours, or our place is to be given up: then nothing that etcd refuses is final. */
static inline bool
goal_is_persistent(enum goal goal)
{
	return goal == GOAL_HOLD || goal == GOAL_RELEASE || goal == GOAL_RECLAIM;
}

/* Our place in the queue, as one linearizable read showed it. */
struct place {
	long ahead;             /* contenders ahead of us whose release was not announced */
	bool far;               /* there might be more than these, and who holds the lock was not read */
	char *holder;           /* the first one's id, or NULL */
	char *holder_key;       /* its own in etcd, or NULL */
	int64_t revision;       /* of the store at that read */
	struct lease_term term; /* the lease that our key is on */
	nsec vanished;          /* when a holder was last found gone that had not said how; 0: never */
	bool told;              /* nobody has had the lock of whom VANISHED does not tell */
};

/* How the one ahead of us went. */
enum vanish {
	VANISH_RELEASED, /* it said that its command is dead */
	VANISH_MUTE,     /* it is of a client that never says so and never kills its command: etcdctl */
	VANISH_UNKNOWN   /* it said nothing: its command might be dying */
};

#endif
