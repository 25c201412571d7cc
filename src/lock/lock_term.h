/* What is due when in the life of a lease: the renewal, the warning, the end. Points are on CLOCK_BOOTTIME; where the
 * lock's life hangs on it, what is left is measured on both clocks (base/clock.h). */
#ifndef LOCK_LOCK_TERM_H
#define LOCK_LOCK_TERM_H

#include "lock/lock_struct.h"

/* When the lease of TERM is to be renewed. */
nsec term_refresh_at(const struct etcdlock *lock, const struct lease_term *term);

/* When the grace before its deadline begins, and the deadline. */
nsec term_expiring_at(const struct etcdlock *lock, const struct lease_term *term);
nsec term_deadline(const struct lease_term *term);

/* How long until the deadline of the lock's own term, and until the grace before it; negative: it is past. */
nsec term_left(const struct etcdlock *lock);
nsec term_left_to_expiring(const struct etcdlock *lock);

#endif
