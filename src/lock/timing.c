/* Whether a TTL, a refresh period and a grace go together. */
#include "base/duration.h"
#include "lock/etcdlock.h"
#include "lock/lock.h"

#include <inttypes.h>
#include <stdio.h>

/* etcd refuses more (lease.MaxLeaseTTL). */
#define TTL_MAX_S INT64_C(9000000000)

#define GRACE_DEFAULT_MS 10000

/* What the default grace leaves for renewal tries, as long as it keeps a quarter of the room. */
#define RENEWAL_ROOM_MS 5000

void
etcdlock_timing_init(struct etcdlock_timing *timing)
{
	*timing = (struct etcdlock_timing){
		.ttl_s = 60,
		.grace_ms = -1,
		.delay_ms = 1000,
		.wait_ms = -1,
		.connect_ms = 5000,
	};
}

int64_t
etcdlock_margin_ms(int64_t ttl_s)
{
	return lease_margin(ttl_s * NSEC_PER_SEC) / NSEC_PER_MSEC;
}

/* About 1 s a try, less on a short lease: one dead endpoint must cost a try, not the lock. */
nsec
timing_try_limit(nsec ttl)
{
	nsec limit = ttl / 10;

	if (limit < 200 * NSEC_PER_MSEC)
		return 200 * NSEC_PER_MSEC;
	return limit > NSEC_PER_SEC ? NSEC_PER_SEC : limit;
}

static int64_t
default_grace(int64_t room_ms)
{
	int64_t grace = room_ms - RENEWAL_ROOM_MS;

	if (grace < room_ms / 4)
		grace = room_ms / 4;
	return grace > GRACE_DEFAULT_MS ? GRACE_DEFAULT_MS : grace;
}

int
etcdlock_timing_resolve(struct etcdlock_timing *timing, char *why, size_t size)
{
	int64_t ttl_ms, margin, try_ms, room;

	if (timing->ttl_s < 1 || timing->ttl_s > TTL_MAX_S) {
		snprintf(why, size, "a TTL of %" PRId64 " s is not possible; 1 to %" PRId64 " whole seconds work",
		    timing->ttl_s, TTL_MAX_S);
		return -1;
	}
	ttl_ms = timing->ttl_s * 1000;
	margin = etcdlock_margin_ms(timing->ttl_s);
	try_ms = timing_try_limit(timing->ttl_s * NSEC_PER_SEC) / NSEC_PER_MSEC;
	if (timing->refresh_ms == 0)
		timing->refresh_ms = ttl_ms / 2;
	room = ttl_ms - margin - timing->refresh_ms;
	if (timing->grace_ms < 0)
		timing->grace_ms = room > 0 ? default_grace(room) : 0;
	if (timing->refresh_ms > ttl_ms || timing->grace_ms > ttl_ms || timing->grace_ms + try_ms > room) {
		char refresh[DURATION_TEXT], grace[DURATION_TEXT], reserve[DURATION_TEXT], one_try[DURATION_TEXT];

		snprintf(why, size,
		    "a TTL of %" PRId64
		    " s is too short: refresh %s + grace %s + margin %s + one try %s do not fit into it;"
		    " make the TTL longer, or the refresh period or the grace shorter",
		    timing->ttl_s, duration_text(timing->refresh_ms * NSEC_PER_MSEC, refresh),
		    duration_text(timing->grace_ms * NSEC_PER_MSEC, grace),
		    duration_text(margin * NSEC_PER_MSEC, reserve), duration_text(try_ms * NSEC_PER_MSEC, one_try));
		return -1;
	}
	return 0;
}
