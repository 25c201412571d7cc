/* The v3 backend's inside: one contender's key and leases, and the calls that are under way for them. */
#ifndef LOCK_V3_H
#define LOCK_V3_H

#include "lock/call.h"
#include "lock/cluster.h"
#include "lock/lock.h"
#include "lock/v3_codec.h"
#include "lock/watches.h"

/* What the call EXTEND is doing. */
enum v3_stage {
	V3_STAGE_NONE,
	V3_STAGE_JOIN_GRANT,  /* a lease for a new place */
	V3_STAGE_JOIN_PUT,    /* the key, on that lease */
	V3_STAGE_RENEW_GRANT, /* a new lease for our key */
	V3_STAGE_RENEW_MOVE,  /* our key, to that lease */
	V3_STAGE_KEEPALIVE
};

/* What tells what happens to our key and to the one ahead of us. */
struct v3_watch {
	struct watcher watcher;
	char *predecessor;              /* NULL: only our own key */
	int64_t own_start, ahead_start; /* the first revisions that it tells of */
	bool wanted;
	size_t asked, confirmed; /* watches of the stream that is being opened */
	bool broken;             /* it was open, and what has happened meanwhile may not be told */
	struct timer retry;
	struct timer poll; /* while nothing is confirmed, to look instead */
	nsec polled;       /* since when looks are answered and watches are not; 0: they are not */
	bool silence_said;
	struct backoff backoff;
};

struct v3 {
	struct etcdlock *lock;
	struct v3_names names;
	struct lease_ledger ledger;
	struct lease *held;             /* the lease that our key is on, as far as we know; or NULL */
	struct lease *fresh;            /* the lease that EXTEND is about */
	int64_t asked_s;                /* the TTL that was asked for, for FRESH */
	struct lease_term kept;         /* with keepalives: the last one that was answered */
	int64_t create_revision;        /* of our key; 0: no key */
	int64_t mod_revision;           /* of our key, as last known */
	uint64_t cluster;               /* where our key is; 0: not known yet */
	int64_t revision;               /* the latest that an answer through the quorum has shown */
	int64_t placed;                 /* the revision of the look that our place was last taken from */
	struct cluster_waiter clusters; /* until all endpoints have said of which cluster they are */
	bool clusters_awaited;          /* it has waited for that */
	int64_t seen_own;               /* what happened to our key up to this revision of the store is known */
	int64_t seen_ahead;             /* the same of the key ahead of us */
	bool full;                      /* etcd is out of space, so renewals are keepalives for now */
	bool stray_said;                /* that somebody's data is ahead of us */
	bool foreign;                   /* somebody else wrote our key, which may have taken it off its lease */
	char *predecessor;              /* the key ahead of us, or NULL */
	enum v3_stage stage;
	bool look_again;    /* something happened after LOOK was sent */
	bool reclaiming;    /* LOOK asks for the lease of a dead process's key */
	bool reclaim_held;  /* that process held the lock */
	bool leaving, mark; /* giving up; the released mark is still to be put */
	struct call extend, look, depart, revoke;
	int64_t revoking; /* the lease that REVOKE is about */
	struct timer step_aside;
	TAILQ_HEAD(, v3_txn) txns; /* the user's, in their order; the first one is under way */
	struct timer next_txn;
	struct v3_watch watch;
};

/* How long one try may take. */
nsec v3_try_limit(const struct v3 *v3);

/* Start CALL, and remember what is known now. As call_start(). */
__attribute__((warn_unused_result)) int v3_call(struct v3 *v3, struct call *call, const char *path, char *body);

/* Judge an answer to CALL for CALL_*: true and the object in *ANSWER where it is V3_OK, and from our store; else
 * *VERDICT and TEXT. Refusals end an acquisition, and are retried for a lock that is owned or given up. QUORUM: the
 * answer is none of one member's memory. */
bool v3_accept(struct v3 *v3, const struct call *call, bool quorum, long status, const char *body, size_t len,
    json_t **answer, enum v3_verdict *judged, enum call_verdict *verdict, char text[CALL_TEXT]);

/* True where a holder's lease lives on keepalives. */
bool v3_on_keepalives(const struct v3 *v3);

/* An answer of etcd's that makes no sense, because of WRONG. */
enum call_verdict v3_senseless(const char *wrong, char text[CALL_TEXT]);

/* What every failed try means. */
void v3_trouble(struct v3 *v3, const struct call_trouble *trouble);

/* store */
enum v3_store {
	V3_STORE_OURS,
	V3_STORE_OTHER, /* of another cluster, while ours may be there: ask elsewhere */
	V3_STORE_GONE   /* ours is not there any more, which has been dealt with */
};

void v3_store_init(struct v3 *v3);

/* Whether ANSWER, to CALL, comes from the store that our key is in. QUORUM as above. TEXT is filled for V3_STORE_OTHER.
 */
enum v3_store
v3_check_store(struct v3 *v3, const json_t *answer, const struct call *call, bool quorum, char text[CALL_TEXT]);

/* True where something that was read at REVISION is older than what we know of our own key and place, and says nothing
 * about them: it was delayed on its way. */
bool v3_is_stale(const struct v3 *v3, int64_t revision);

/* True where the lock must not be taken yet, since endpoints have still to say of which cluster they are: a look
 * follows; or where they are of two, so that it was refused. */
bool v3_must_wait_for_clusters(struct v3 *v3);

/* extend: a place in the queue, and the lease of the key */
void v3_extend_init(struct v3 *v3);
void v3_join(void *v3);
void v3_renew(void *v3, bool firm);
void v3_extend_stop(struct v3 *v3);

/* queue */
void v3_queue_init(struct v3 *v3);
void v3_look(void *v3);
/* Report our place in QUEUE, or that we have none. */
void v3_place(struct v3 *v3, const struct v3_queue *queue);
/* Our key as etcd has it now: true where it is as we left it, or as a move of ours left it. */
bool v3_is_ours(struct v3 *v3, const struct v3_kv *kv);
/* Our key is gone: KV NULL; or it is not as we left it. */
void v3_lost_key(struct v3 *v3, const struct v3_kv *kv);

/* leave */
void v3_leave_init(struct v3 *v3);
void v3_leave(void *v3, bool held);
int v3_reclaim(void *v3, const char *owner_key, int64_t create_revision, bool held);
/* KV is the key that is to be reclaimed, NULL if it is gone. */
void v3_reclaim_found(struct v3 *v3, const struct v3_kv *kv);
/* Delete our key: v3_join() or v3_leave_next() follows. False when memory is short. */
bool v3_delete_own(struct v3 *v3);
/* What had to be waited for before leaving is over. */
void v3_leave_next(struct v3 *v3);
/* Revoke the leases that are retired. */
void v3_revoke_next(struct v3 *v3);

/* txn */
void v3_txn_init(struct v3 *v3);
void v3_txn_free(struct v3 *v3);
int v3_txn_start(void *v3, const struct etcdlock_op *ops, size_t count, etcdlock_txn_fn done, void *done_arg);

/* watch */
void v3_watch_init(struct v3 *v3);
void v3_follow(void *v3);
void v3_watch_stop(struct v3 *v3);
/* True where etcd has confirmed all watches that are wanted. */
bool v3_watch_confirmed(const struct v3 *v3);
/* A look was answered. */
void v3_watch_looked(struct v3 *v3);
/* ENDPOINT does not answer: a watch on it may be silent for the same reason. */
void v3_watch_distrust(struct v3 *v3, const struct endpoint *endpoint);

#endif
