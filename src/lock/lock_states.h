/* The lock's states as a table: what each event leads to, and what is to be done then. Pure and complete: doc/design
 * shows it, and a test compares. */
#ifndef LOCK_LOCK_STATES_H
#define LOCK_LOCK_STATES_H

#include "lock/etcdlock.h"

/* What a report, a timer or the user's call amounts to. */
enum lock_event {
	LOCK_ASKED_FOR,   /* etcdlock_lock() */
	LOCK_GIVEN_UP,    /* etcdlock_unlock() */
	LOCK_RECLAIMED,   /* etcdlock_reclaim() */
	LOCK_GRANTED,     /* the lease of a join is there */
	LOCK_BEHIND,      /* we are in the queue, behind others */
	LOCK_CONFLICT,    /* the same, and we are not to wait */
	LOCK_FIRST,       /* nobody is ahead of us */
	LOCK_FIRST_EARLY, /* the same, and the lock delay is not over */
	LOCK_FIRST_WORN,  /* the same, and too little is left of the lease to start with */
	LOCK_AHEAD_GONE,  /* the one ahead of us has gone */
	LOCK_KEY_GONE,    /* our own key is gone, or the store that it was in */
	LOCK_RENEWED,     /* our key is on a later lease */
	LOCK_EXPOSED,     /* our key might be on a lease that ends sooner */
	LOCK_REFRESH_DUE, /* it is time to renew */
	LOCK_AGAIN,       /* what was put off is due */
	LOCK_TROUBLE,     /* a try failed */
	LOCK_HOPELESS,    /* a try failed, and no endpoint is an etcd */
	LOCK_REFUSED,     /* etcd refuses it for good */
	LOCK_NO_MEMORY,   /* memory was short for a request */
	LOCK_UNREACHABLE, /* the time to get into the queue is over */
	LOCK_WAIT_OVER,   /* the time to wait is over */
	LOCK_EXPIRING,    /* the grace before the deadline begins */
	LOCK_EXPIRED,     /* the deadline has passed */
	LOCK_RELEASED,    /* nothing of ours is left in etcd */
	LOCK_RELEASE_OVER /* the time for that is over */
};
#define LOCK_EVENTS (LOCK_RELEASE_OVER + 1)

enum lock_action {
	LOCK_DO_NOTHING,
	LOCK_DO_BEGIN,            /* forget the last time; join the queue */
	LOCK_DO_JOIN,             /* join the queue */
	LOCK_DO_REJOIN,           /* drop what is under way; join again after a pause */
	LOCK_DO_FOLLOW,           /* watch our key, and the one ahead */
	LOCK_DO_WAIT,             /* the same, and renew where it is due */
	LOCK_DO_DELAY,            /* look again when the lock delay is over */
	LOCK_DO_LOOK,             /* read the queue */
	LOCK_DO_RENEW,            /* take a fresh lease */
	LOCK_DO_RENEW_SOON,       /* the same, after a moment */
	LOCK_DO_PLAN,             /* plan the next renewal, and look */
	LOCK_DO_COUNT,            /* count from the new lease; tell RENEWED */
	LOCK_DO_SHORTEN,          /* count from the lease that ends sooner; tell RENEWED */
	LOCK_DO_ACQUIRE,          /* count from the lease; tell ACQUIRED */
	LOCK_DO_DOUBT,            /* say it, if it lasts */
	LOCK_DO_WARN,             /* tell EXPIRING */
	LOCK_DO_LOSE,             /* drop what is under way; tell DROPPED */
	LOCK_DO_RELEASE,          /* release it, the protected work being over */
	LOCK_DO_GIVE_UP,          /* give the place in the queue up */
	LOCK_DO_RECLAIM,          /* release what a dead process had */
	LOCK_DO_FAIL_CONFLICT,    /* give up, and tell REFUSED at the end */
	LOCK_DO_FAIL_REFUSED,     /* likewise */
	LOCK_DO_FAIL_MEMORY,      /* likewise */
	LOCK_DO_FAIL_UNREACHABLE, /* likewise */
	LOCK_DO_FAIL_WAIT,        /* likewise */
	LOCK_DO_END,              /* tell RELEASED or REFUSED */
	LOCK_DO_END_UNRELEASED    /* the same; what is left ends by itself */
};
#define LOCK_ACTIONS (LOCK_DO_END_UNRELEASED + 1)

struct lock_step {
	enum etcdlock_state next;
	enum lock_action action;
};

/* What EVENT leads to in STATE. An event that means nothing in STATE leaves it, with LOCK_DO_NOTHING. */
struct lock_step lock_states_step(enum etcdlock_state state, enum lock_event event);

const char *lock_event_name(enum lock_event event);
const char *lock_action_name(enum lock_action action);

#endif
