/* The v3 protocol's inside: one contender's key and leases, and the calls that are under way for them.
 *
 * v3.c owns the goal, and advance(), which sends what is wanted next; it is run by a task, after every answer and every
 * wish of the lock's, when nothing else is on the stack. The parts (lease, queue, watch, release, txn) note what
 * answers say in struct v3 and post the task; none of them calls another. What all of them need is in v3_state.c, and
 * what an answer proves in v3_store.c. */
#ifndef LOCK_V3_V3_STRUCT_H
#define LOCK_V3_V3_STRUCT_H

#include "etcd/call.h"
#include "etcd/cluster.h"
#include "etcd/watch_stream.h"
#include "lock/lease.h"
#include "lock/lock_events.h"
#include "lock/protocol.h"
#include "lock/v3/v3_messages.h"

/* What the call LEASE is about: under way or, where that call is not active, to be sent next. */
enum v3_step {
	V3_STEP_NONE,
	V3_STEP_JOIN,        /* a place in the queue, from the start: nothing has been sent for it */
	V3_STEP_JOIN_GRANT,  /* a lease for it */
	V3_STEP_JOIN_PUT,    /* the key, on that lease */
	V3_STEP_RENEW,       /* a later lease for our key: nothing has been sent for it */
	V3_STEP_RENEW_GRANT, /* that lease */
	V3_STEP_RENEW_MOVE,  /* our key, to that lease */
	V3_STEP_KEEPALIVE    /* the leases that our key might be on, one after the other, for longer */
};

/* What a look reads, and so what it shows. */
enum v3_look {
	V3_LOOK_OWN,  /* our key: all that is to be known where nobody can be ahead of us */
	V3_LOOK_PAIR, /* our key and the one ahead of us, by their names */
	V3_LOOK_PAGE  /* our key, and those ahead of us, the nearest first */
};

/* What the call PARTING is about. */
enum v3_parting {
	V3_PARTING_NONE,
	V3_PARTING_MARK,  /* the released mark, in our key */
	V3_PARTING_DELETE /* our key, which somebody else might have taken off its lease */
};

/* What tells what happens to our key and to the one ahead of us. */
struct v3_watch {
	struct watcher watcher;
	char *predecessor;              /* NULL: only our own key */
	int64_t own_start, ahead_start; /* the first revisions that it tells of */
	bool asked_for; /* the lock wants it for PREDECESSOR of struct v3, which might be another one by now */
	bool wanted;    /* it is open for PREDECESSOR, or to be opened again */
	bool reopen;    /* it is of no use as it is */
	nsec reopen_delay;
	size_t asked, confirmed; /* watches of the stream that is being opened */
	bool broken;             /* it was open, and what has happened meanwhile might not be told */
	struct timer retry;
	struct timer poll; /* while nothing is confirmed, to look instead */
	nsec polled;       /* since when looks are answered and watches are not; 0: they are not */
	bool silence_said;
	struct backoff backoff;
};

/* Invariants:
 * - GOAL is QUEUE from a join on, HOLD from hold() on, until our key is gone or refused: then NONE, until the lock says
 *   what follows;
 * - while GOAL is NONE no call is active but those that end by themselves, whose answers mean nothing;
 * - STEP is about FRESH in the steps of a grant, a put and a move, and about KEEPING in a keepalive; after a RENEW step
 * HELD is not NULL;
 * - our key is on HELD, or on one of the leases that are aimed at: keepalives count when all of these are kept alive;
 * - HELD is NULL exactly while CREATE_REVISION is 0, but for what a dead process had;
 * - FIRST stays true as long as our key is there, for a key that comes later is behind it;
 * - a lease is revoked only once our key is known to be on a later one, or is given up. */
struct v3 {
	const struct contender *contender;
	struct session *session;
	unsigned generation; /* of what it works for */
	enum goal goal;
	struct task advance;

	struct v3_names names;
	struct leases leases;
	struct lease *held;      /* the lease that our key is on, as far as we know; or NULL */
	struct lease *fresh;     /* the lease that STEP is about */
	struct lease *keeping;   /* likewise, in a keepalive */
	struct lease_term keeps; /* the shortest term of those that are kept alive so far */
	int64_t asked_s;         /* the TTL that was asked for, for FRESH */
	struct lease_term kept;  /* what the last renewal came to, or one that is out and ends sooner */
	int64_t create_revision; /* of our key; 0: no key */
	int64_t mod_revision;    /* of our key, as last known */
	bool full;               /* etcd is out of space, so renewals are keepalives for now */
	bool overwritten;        /* somebody else wrote our key, which might have taken it off its lease */
	enum v3_step step;
	struct call lease;

	uint64_t cluster; /* where our key is; 0: not known yet */
	int64_t revision; /* the latest that an answer through the quorum has shown */

	struct v3_queue seen;            /* what a look has read, until it is dealt with; no entries: it was */
	enum v3_look shows;              /* what SEEN is */
	bool first;                      /* nobody is ahead of us any more */
	bool unsure;                     /* who is ahead of us might be another one by now */
	int64_t placed;                  /* the revision of the look that our place was last taken from */
	long ahead;                      /* contenders ahead of us then; -1: not known */
	bool far;                        /* there might be more than these */
	bool crowded;                    /* there were, at some time since the join */
	bool reported;                   /* our place was reported since the join */
	struct cluster_waiter clusters;  /* until all endpoints have said of which cluster they are */
	bool clusters_awaited;           /* it has waited for that */
	bool stray_said;                 /* that somebody's data is ahead of us */
	char *predecessor;               /* the key ahead of us, or NULL */
	int64_t ahead_create, ahead_mod; /* its revisions, when the queue was read last */
	bool look_wanted;
	bool outdated;        /* what the call LOOK reads is not to be believed */
	enum v3_look looking; /* what the call LOOK reads */
	size_t page;          /* how many pages of the queue had no contender in them */
	int64_t below;        /* where the next page begins */
	bool bare;            /* without values, for with them a page was too large */
	struct call look;

	int64_t seen_own;   /* what happened to our key up to this revision of the store is known */
	int64_t seen_ahead; /* the same of the key ahead of us */
	struct v3_watch watch;

	bool reclaim_held; /* the dead process held the lock */
	bool mark;         /* the released mark is still to be put */
	enum v3_parting parting;
	struct call depart, revoke;
	int64_t revoking; /* the lease that REVOKE is about */
	struct timer step_aside;

	TAILQ_HEAD(, v3_txn) txns; /* the user's, in their order; the first one is under way */
	struct timer next_txn;
};

/* --- v3_state.c: what all parts need --- */

/* Have advance() run, when nothing else is on the stack. */
void v3_wake(struct v3 *v3);

/* How long one try may take. */
nsec v3_try_limit(const struct v3 *v3);

/* Start CALL, and remember what is known now. Returns 0; or -1 where memory is short, which is reported. */
int v3_call(struct v3 *v3, struct call *call, const char *path, char *body);

/* Report to the lock. REPORT's texts are taken; its generation is set. */
void v3_report(struct v3 *v3, struct report report);

/* Report that our place or the lock is gone, because of WHY; there is nothing to do until the lock says what. */
void v3_gone(struct v3 *v3, const char *why);

/* Likewise, that etcd refuses it, with TEXT. */
void v3_refused(struct v3 *v3, const char *text);

/* What every failed try means. */
void v3_trouble(struct v3 *v3, const struct call_trouble *trouble);

/* True where a holder's lease lives on keepalives. */
bool v3_on_keepalives(const struct v3 *v3);

/* An answer of etcd's that makes no sense, because of WRONG. */
enum call_verdict v3_senseless(const char *wrong, char text[CALL_TEXT]);

/* Our key as etcd has it now: true where it is as we left it, or as a move of ours left it. */
bool v3_is_ours(struct v3 *v3, const struct v3_kv *kv);

/* Our key is on LEASE since MOD_REVISION: no move that was sent before works any more. */
void v3_settle(struct v3 *v3, struct lease *lease, int64_t mod_revision);

/* Our key is gone: KV NULL; or it is not as we left it. */
void v3_lost_key(struct v3 *v3, const struct v3_kv *kv);

/* A look is wanted, after what is known now. */
void v3_want_look(struct v3 *v3);

/* --- v3_store.c: what an answer proves --- */

void v3_store_init(struct v3 *v3);

/* Whether VERDICT, on CALL, is an answer that counts: true, and verdict->answer is from our store. Else *NEXT and TEXT:
 * refusals end an acquisition, and are repeated for a lock that is ours or given up. QUORUM: the answer is none of one
 * member's memory. */
bool v3_accept(struct v3 *v3, const struct call *call, bool quorum, const struct verdict *verdict,
    enum call_verdict *next, char text[CALL_TEXT]);

/* True where something that was read at REVISION is older than what we know of our own key and place, and says nothing
 * about them: it was delayed on its way. */
bool v3_is_stale(const struct v3 *v3, int64_t revision);

/* True where the lock must not be taken yet, since endpoints have still to say of which cluster they are: a look
 * follows; or where they are of two, so that it was refused. */
bool v3_must_wait_for_clusters(struct v3 *v3);

/* --- v3_lease.c: a place in the queue, and the lease of the key --- */

void v3_lease_init(struct v3 *v3);
/* Drop what is under way, and make STEP what comes next. */
void v3_lease_turn(struct v3 *v3, enum v3_step step);
/* The lease is to be renewed. */
void v3_lease_renew(struct v3 *v3, bool firm);
/* Send what STEP says. */
void v3_lease_advance(struct v3 *v3);
/* True while a grant is out: its answer is waited for before leaving, for it might come after its revocation. */
bool v3_lease_is_granting(const struct v3 *v3);

/* --- v3_queue.c: who is ahead of us --- */

void v3_queue_init(struct v3 *v3);
/* Deal with the queue that was seen: report our place, or that we have none. */
void v3_queue_place(struct v3 *v3);
/* Look, where that is wanted. */
void v3_queue_advance(struct v3 *v3);
/* Our own key in the queue that was seen; or NULL. */
const struct v3_kv *v3_queue_own(const struct v3 *v3);

/* --- v3_watch.c --- */

void v3_watch_init(struct v3 *v3);
void v3_watch_stop(struct v3 *v3);
/* Open what is wanted. */
void v3_watch_advance(struct v3 *v3);
/* A look was answered. */
void v3_watch_looked(struct v3 *v3);

/* --- v3_release.c: giving up --- */

void v3_release_init(struct v3 *v3);
/* KV is the key that is to be reclaimed, NULL if it is gone: the goal is to leave, now. */
void v3_release_found(struct v3 *v3, const struct v3_kv *kv);
/* Drop what is under way. */
void v3_release_stop(struct v3 *v3);
/* Before another join: delete our old key. True while that is under way. */
bool v3_release_clear(struct v3 *v3);
/* Send what is next on the way out. */
void v3_release_advance(struct v3 *v3);
/* Revoke the leases that are retired. */
void v3_release_revoke(struct v3 *v3);

/* --- v3_txn.c --- */

void v3_txn_init(struct v3 *v3);
void v3_txn_free(struct v3 *v3);
int v3_txn_start(void *v3, const struct etcdlock_op *ops, size_t count, etcdlock_txn_fn done, void *done_arg);

#endif
