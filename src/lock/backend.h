/* What the state machine asks of a protocol of etcd, and what the protocol reports. */
#ifndef LOCK_BACKEND_H
#define LOCK_BACKEND_H

#include "base/clock.h"
#include "lock/call.h"
#include "lock/etcdlock.h"

/* A lease as it is counted: from the moment its grant (or with keepalives its last renewal) was sent. */
struct lease_term {
	struct moment sent;
	nsec ttl;
};

/* Our place in the queue, as one linearizable read showed it. */
struct place {
	long ahead;             /* contenders ahead of us whose release was not announced */
	const char *holder;     /* the first one's id, or NULL */
	const char *holder_key; /* its own in etcd, or NULL */
	int64_t revision;       /* of the store at that read */
	struct lease_term term; /* the lease that our key is on */
};

struct backend_ops {
	/* Returns NULL when memory is short. */
	void *(*new)(struct etcdlock *lock);
	void (*free)(void *backend);

	/* Ask for a lease and a place at the end of the queue: lock_placed(). What an earlier join left is given up. */
	void (*join)(void *backend);
	/* Read the queue: lock_placed() or lock_gone(). */
	void (*look)(void *backend);
	/* Watch our own key and, where we are not the first, the one ahead of us: lock_gone(), lock_vanished(). */
	void (*follow)(void *backend);
	/* Renew the lease now: lock_renewed() or lock_gone(). FIRM: the way a holder's is renewed. */
	void (*renew)(void *backend, bool firm);
	/* Give up everything that we have in etcd: lock_left(). HELD: announce that the protected work is over. */
	void (*leave)(void *backend, bool held);
	/* Take over what a dead process had, and leave: lock_left(). HELD: as in leave. -1 with errno EINVAL or ENOMEM.
	 */
	int (*reclaim)(void *backend, const char *owner_key, int64_t create_revision, bool held);
	/* Send OPS, guarded by our ownership. Returns 0, or -1 with errno ENOMEM. NULL: this protocol has no such
	 * thing. */
	int (*txn)(void *backend, const struct etcdlock_op *ops, size_t count, etcdlock_txn_fn done, void *done_arg);
	/* Drop what is under way, without a word to etcd. */
	void (*stop)(void *backend);

	const char *(*owner_key)(const void *backend);
	int64_t (*create_revision)(const void *backend);
};

extern const struct backend_ops backend_v2, backend_v3;

/* --- reports --- */

/* etcd has granted the lease of a join. */
void lock_granted(struct etcdlock *lock);

void lock_placed(struct etcdlock *lock, const struct place *place);
void lock_renewed(struct etcdlock *lock, const struct lease_term *term);

/* How the one ahead of us went. */
enum vanish {
	VANISH_RELEASED, /* it said that its command is dead */
	VANISH_MUTE,     /* it is of a client that never says so and never kills its command: etcdctl */
	VANISH_UNKNOWN   /* it said nothing: its command may be dying */
};

/* The key ahead of us is gone, or marked. */
void lock_vanished(struct etcdlock *lock, enum vanish how);

/* Our key is gone or not ours any more; WHY completes "the lock is lost: ". */
void lock_gone(struct etcdlock *lock, const char *why);

/* A try failed and will be repeated. */
void lock_trouble(struct etcdlock *lock, const struct call_trouble *trouble);

/* A request was refused for good. Not for a lock that is owned: there everything is tried until the deadline. */
void lock_refused(struct etcdlock *lock, const char *text);

/* Memory was short for what the machine asked. */
void lock_stumbled(struct etcdlock *lock);

/* While leaving: etcd has it that the lock is nobody's, or the next one's. */
void lock_given(struct etcdlock *lock);

/* Nothing of ours is left in etcd. */
void lock_left(struct etcdlock *lock);

#endif
