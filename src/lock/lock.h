/* The lock's state machine, as its backends see it.
 *
 * The machine decides what to do and when; a backend speaks one protocol of etcd and reports what became of it.
 * All functions are called from the loop, and none calls the user: events are queued and delivered later. */
#ifndef LOCK_LOCK_H
#define LOCK_LOCK_H

#include "base/backoff.h"
#include "lock/backend.h"
#include "lock/client.h"
#include "lock/config.h"
#include "lock/lease.h"

#include <sys/queue.h>

/* How we came to be the first in the queue, which decides about the lock delay. */
enum succession {
	SUCCESSION_NONE,     /* nobody was ahead of us when we came */
	SUCCESSION_WAITING,  /* somebody is ahead of us */
	SUCCESSION_CLEAN,    /* the one ahead of us said that its command was dead */
	SUCCESSION_VANISHED, /* it vanished at the time VANISHED: its command may be dying */
};

/* What became of a transaction of the user's, on its way to him. */
struct lock_result {
	etcdlock_txn_fn done;
	void *arg;
	enum etcdlock_txn_result result;
	int64_t revision;
	char error[384];
	TAILQ_ENTRY(lock_result) link;
};

struct etcdlock {
	struct etcdlock_client *client;
	char *key, *id;
	struct timing asked, timing; /* as set, and as it works out */
	enum renewal renewal;
	etcdlock_event_fn on_event;
	void *arg;

	enum etcdlock_state state;
	enum etcdlock_failure failure;
	char error[768];   /* the first cause */
	char trouble[640]; /* the last try that failed */
	bool answered;     /* and what was wrong was the answer */
	bool refused;      /* RELEASING because it was not acquired */
	bool given;        /* RELEASING, and others can have it: what is left to do is to clean up */
	bool lost;         /* it was, since it was asked for; ERROR says why */

	const struct backend_ops *ops;
	void *backend;

	struct lease_term term;
	enum succession succession;
	nsec vanished;
	nsec sole_since; /* since when only one is ahead of us, as far as we have seen; 0: ever */
	nsec renewing;   /* when the last renewal was due */
	nsec began;      /* when it was asked for */
	bool spread;     /* the first renewal is planned */
	bool expiring_said, doubt_said;
	nsec deadline;
	int64_t revision;
	char *holder, *holder_key; /* who was the first when there was news of the queue */
	long ahead;

	struct timer refresh, doubt, expiring, expired, wait, connect, again, release;
	struct backoff rejoin;

	enum etcdlock_event pending[ETCDLOCK_EVENTS];
	size_t pending_count;
	TAILQ_HEAD(, lock_result) results;
	struct loop_event *deliver;
	bool *freed; /* set while an event is delivered: the callback may free the lock */
};

/* Set the state and log it. The only place that does. */
void lock_set_state(struct etcdlock *lock, enum etcdlock_state state);

/* True in the states that own the lock. */
bool lock_owned(const struct etcdlock *lock);

/* Where the deadline of a lock that is owned has passed, it is lost: true. A timer can come late, so whoever is about
 * to act upon ownership asks. */
bool lock_check_expired(struct etcdlock *lock);

/* Queue EVENT for the user, unless it is queued already. */
void lock_post(struct etcdlock *lock, enum etcdlock_event event);

/* Take what is queued back, but DROPPED, REFUSED and RELEASED: something has ended, and that is always told. */
void lock_forget_news(struct etcdlock *lock);

/* Queue RESULT, from malloc(), which it takes. */
void lock_post_result(struct etcdlock *lock, struct lock_result *result);

void lock_timers_init(struct etcdlock *lock);
void lock_timers_stop(struct etcdlock *lock);

/* --- what the user wants --- */

void lock_begin(struct etcdlock *lock);
void lock_end(struct etcdlock *lock);
void lock_timing_changed(struct etcdlock *lock);
__attribute__((warn_unused_result)) int
lock_reclaim(struct etcdlock *lock, const char *owner_key, int64_t create_revision, bool held);

#endif
