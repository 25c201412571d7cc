#include "base/random.h"
#include "lock/lease.h"

nsec
lease_margin(nsec ttl)
{
	return ttl / 10 + 100 * NSEC_PER_MSEC;
}

nsec
lease_left(const struct lease_term *term)
{
	return term->ttl - lease_margin(term->ttl) - clock_elapsed(&term->sent);
}

struct lease_term
lease_first_term(const struct lease *lease)
{
	return (struct lease_term){ .sent = lease->sent, .ttl = lease->ttl };
}

static struct lease *
oldest_but(struct leases *leases, const struct lease *kept)
{
	struct lease *oldest = NULL;

	for (size_t i = 0; i < LEASES; i++) {
		struct lease *lease = &leases->slots[i];

		if (lease != kept && !lease->aimed && (oldest == NULL || lease->sent.boot < oldest->sent.boot))
			oldest = lease;
	}
	return oldest;
}

struct lease *
lease_open(struct leases *leases, const struct lease *kept, struct moment now, nsec ttl)
{
	struct lease *lease = lease_find(leases, 0);

	if (lease == NULL)
		lease = oldest_but(leases, kept);
	if (lease == NULL)
		return NULL;
	/* Positive and 63 bits: etcd before 3.4.20 could corrupt its store over a negative id. */
	do
		lease->id = (int64_t)(random_uint64() >> 1);
	while (lease->id == 0);
	lease->sent = now;
	lease->ttl = ttl;
	lease->exposed = lease->aimed = lease->revoke = false;
	return lease;
}

struct lease *
lease_find(struct leases *leases, int64_t id)
{
	for (size_t i = 0; i < LEASES; i++)
		if (leases->slots[i].id == id)
			return &leases->slots[i];
	return NULL;
}

struct lease *
lease_next_aimed(struct leases *leases, const struct lease *after)
{
	for (size_t i = after == NULL ? 0 : (size_t)(after - leases->slots) + 1; i < LEASES; i++)
		if (leases->slots[i].aimed)
			return &leases->slots[i];
	return NULL;
}

void
lease_retire_older(struct leases *leases, const struct lease *kept)
{
	for (size_t i = 0; i < LEASES; i++) {
		struct lease *lease = &leases->slots[i];

		lease->aimed = false;
		if (lease->id != 0 && lease != kept && lease->sent.boot <= kept->sent.boot)
			lease->revoke = true;
	}
}

void
lease_retire_all(struct leases *leases)
{
	for (size_t i = 0; i < LEASES; i++) {
		struct lease *lease = &leases->slots[i];

		lease->aimed = false;
		if (!lease->exposed)
			lease_close(lease);
		else
			lease->revoke = true;
	}
}

struct lease *
lease_next_retired(struct leases *leases)
{
	for (size_t i = 0; i < LEASES; i++)
		if (leases->slots[i].revoke)
			return &leases->slots[i];
	return NULL;
}

void
lease_close(struct lease *lease)
{
	if (lease != NULL)
		*lease = (struct lease){ 0 };
}
