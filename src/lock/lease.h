/* Lease arithmetic, and the leases that one lock has asked for.
 *
 * A lease is counted from the moment its grant was sent: it can have begun no earlier. What we live on is its
 * first TTL, which etcd keeps through every change of leader; an extension by keepalive it may forget. */
#ifndef LOCK_LEASE_H
#define LOCK_LEASE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A lease as it is counted: from the moment its grant (or with keepalives its last renewal) was sent. */
struct lease_term {
	struct moment sent;
	nsec ttl;
};

struct lease {
	int64_t id;         /* positive, random, chosen by us; 0: a free slot */
	struct moment sent; /* when its grant was first sent */
	nsec ttl;           /* what etcd granted, or what we asked for where the answer was lost */
	bool exposed;       /* its grant might have reached etcd */
	bool aimed;         /* a move of our key to it has been sent, and might have worked unseen, or work yet */
	bool revoke;        /* our key is not on it and never will be: to be revoked */
};

/* A renewal reuses a fresh lease for a quarter of the TTL, so few are open at a time. */
#define LEASES 8

struct leases {
	struct lease slots[LEASES];
};

/* The part of the TTL that is never relied upon: a tenth of it for the difference of clock rates, here and at etcd (NTP
 * slews by up to 8.3 %), and 100 ms for the time it takes to kill. */
nsec lease_margin(nsec ttl);

/* How long until work under a lease must be dead and reaped; negative: it must be already. On the clock that says more
 * has passed. */
nsec lease_left(const struct lease_term *term);

/* The first TTL of LEASE, from its grant on. */
struct lease_term lease_first_term(const struct lease *lease);

/* Enter a new lease with a fresh random id, sent NOW, TTL as asked for. Where there are LEASES of them the oldest lease
 * makes room, but KEPT (may be NULL) and those that are aimed at: it is so old that it has run out, or does so soon by
 * itself. NULL where none can make room. */
struct lease *lease_open(struct leases *leases, const struct lease *kept, struct moment now, nsec ttl);

/* The lease with this id, or NULL. */
struct lease *lease_find(struct leases *leases, int64_t id);

/* The first lease after AFTER, NULL: of all, that is aimed at; or NULL. */
struct lease *lease_next_aimed(struct leases *leases, const struct lease *after);

/* Our key is on KEPT, and no move that has been sent works any more: every lease that was sent before KEPT, and only
 * those, are to be revoked. */
void lease_retire_older(struct leases *leases, const struct lease *kept);

/* Every lease is to be revoked; those that etcd never heard of are forgotten. */
void lease_retire_all(struct leases *leases);

/* A lease that is to be revoked, or NULL. */
struct lease *lease_next_retired(struct leases *leases);

/* Forget a lease; NULL is fine. */
void lease_close(struct lease *lease);

#endif
