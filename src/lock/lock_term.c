#include "lock/lock_term.h"

#include "lock/lease.h"

/* The refresh period and the grace, scaled where etcd granted less than was asked for. */
static nsec
scaled(const struct etcdlock *lock, int64_t ms, nsec ttl)
{
	nsec span = ms * NSEC_PER_MSEC, asked = lock->contender.timing.ttl_s * NSEC_PER_SEC;

	return ttl >= asked ? span : (nsec)((double)span * ((double)ttl / (double)asked));
}

nsec
term_refresh_at(const struct etcdlock *lock, const struct lease_term *term)
{
	return clock_add(term->sent.boot, scaled(lock, lock->contender.timing.refresh_ms, term->ttl));
}

/* On CLOCK_BOOTTIME alone. */
nsec
term_deadline(const struct lease_term *term)
{
	return clock_add(term->sent.boot, term->ttl - lease_margin(term->ttl));
}

nsec
term_left(const struct etcdlock *lock)
{
	return lease_left(&lock->term);
}

/* How long until the grace before the deadline begins. */
nsec
term_left_to_expiring(const struct etcdlock *lock)
{
	return term_left(lock) - scaled(lock, lock->contender.timing.grace_ms, lock->term.ttl);
}

nsec
term_expiring_at(const struct etcdlock *lock, const struct lease_term *term)
{
	return term_deadline(term) - scaled(lock, lock->contender.timing.grace_ms, term->ttl);
}
