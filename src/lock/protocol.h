/* What the lock asks of a protocol of etcd. Nothing is answered, and nothing reported, from inside these functions:
 * what comes of them is reported as lock_events.h has it. None of them is called from inside an answer. */
#ifndef LOCK_PROTOCOL_H
#define LOCK_PROTOCOL_H

#include "lock/contender.h"
#include "lock/etcdlock.h"

struct protocol {
	/* For CONTENDER, which stays the lock's. Returns NULL when memory is short. */
	void *(*new)(const struct contender *contender);
	void (*free)(void *protocol);

	/* Ask for a lease and a place at the end of the queue: GRANTED, PLACED. What an earlier join left is given up.
	 */
	void (*join)(void *protocol);
	/* The lock is ours, by the place that was reported last. */
	void (*hold)(void *protocol);
	/* Read the queue: PLACED or KEY_GONE. */
	void (*look)(void *protocol);
	/* Watch our own key and, where we are not the first, the one ahead of us: KEY_GONE, VANISHED. */
	void (*follow)(void *protocol);
	/* Renew the lease now: RENEWED or KEY_GONE. FIRM: the way a holder's is renewed. */
	void (*renew)(void *protocol, bool firm);
	/* Give up everything that we have in etcd: LEFT. HELD: announce that the protected work is over. */
	void (*release)(void *protocol, bool held);
	/* Take over what a dead process had, and leave: LEFT. HELD: as in leave. Returns 0, or -1 with errno EINVAL or
	 * ENOMEM. */
	int (*reclaim)(void *protocol, const char *owner_key, int64_t create_revision, bool held);
	/* Send OPS, guarded by our ownership. Returns 0, or -1 with errno ENOMEM. NULL: this protocol has no such
	 * thing. */
	int (*txn)(void *protocol, const struct etcdlock_op *ops, size_t count, etcdlock_txn_fn done, void *done_arg);
	/* Drop what is under way, without a word to etcd. */
	void (*stop)(void *protocol);

	const char *(*owner_key)(const void *protocol);
	int64_t (*create_revision)(const void *protocol);
};

extern const struct protocol protocol_v2, protocol_v3;

#endif
