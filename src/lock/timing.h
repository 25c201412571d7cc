/* How long the things of one lock take, and whether they go together. */
#ifndef LOCK_TIMING_H
#define LOCK_TIMING_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

/* How a lease is renewed. */
enum renewal {
	RENEW_RAFT,     /* each time a new lease, and the key moved to it: survives etcd's stale leaders */
	RENEW_KEEPALIVE /* spares etcd the writes; a leader that was frozen can confirm what is gone */
};

/* Milliseconds unless said. */
struct timing {
	int64_t ttl_s;      /* lease length in seconds, 1 to 100 years, like every other span */
	int64_t refresh_ms; /* renewal period; 0: half the TTL */
	int64_t grace_ms;   /* how long before the deadline ETCDLOCK_EXPIRING comes; -1: 8 s, or what fits */
	int64_t delay_ms;   /* wait this long when a holder vanished without saying so */
	int64_t wait_ms;    /* give up waiting after this; -1: never */
	int64_t connect_ms; /* how long every endpoint may stay unreachable before the lock is in the queue; -1: 30 s,
			     * and 5 s where nobody waits */
};

/* TTL 60 s and the defaults above; delay 1 s, no wait limit. */
void timing_init(struct timing *timing);

/* Replace the defaults in TIMING by what they stand for and check that it can be kept:
 * refresh + grace + margin + one try must fit into the TTL. Returns 0, or -1 and in WHY (of SIZE bytes) a
 * sentence with the arithmetic. */
int timing_resolve(struct timing *timing, char *why, size_t size);

/* How long etcd may be out of reach: TIMING's own, else the default: for a lock that is waited for, or with BRIEF for
 * one that is not. */
int64_t timing_connect_ms(const struct timing *timing, bool brief);

/* How long one try of a request may take, for leases of this TTL. */
nsec timing_try_limit(nsec ttl);

/* The same of a request for a token, which costs etcd more. */
nsec timing_token_limit(nsec ttl);

#endif
