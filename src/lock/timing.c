/* Whether a TTL, a refresh period and a grace go together. */
#include "lock/timing.h"

#include "base/duration.h"
#include "lock/lease.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

/* docker and podman stop kill what lives 10 s later. */
#define GRACE_DEFAULT_MS 8000

/* At boot etcd might come later than we do; a user who does not wait for the lock does not wait so long for etcd
 * either. */
#define CONNECT_DEFAULT_MS 30000
#define CONNECT_DEFAULT_TRY_MS 5000

/* What the default grace leaves for renewal tries, as long as it keeps a quarter of the room. */
#define RENEWAL_ROOM_MS 5000

/* etcd spends some 100 ms on the hash of a password. */
#define TOKEN_LIMIT_LEAST (500 * NSEC_PER_MSEC)

void
timing_init(struct timing *timing)
{
	*timing = (struct timing){
		.ttl_s = 60,
		.grace_ms = -1,
		.delay_ms = 1000,
		.wait_ms = -1,
		.connect_ms = -1,
	};
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

nsec
timing_token_limit(nsec ttl)
{
	nsec limit = timing_try_limit(ttl);

	return limit < TOKEN_LIMIT_LEAST ? TOKEN_LIMIT_LEAST : limit;
}

int64_t
timing_connect_ms(const struct timing *timing, bool brief)
{
	if (timing->connect_ms >= 0)
		return timing->connect_ms;
	return brief ? CONNECT_DEFAULT_TRY_MS : CONNECT_DEFAULT_MS;
}

static int64_t
default_grace(int64_t room_ms)
{
	int64_t grace = room_ms - RENEWAL_ROOM_MS;

	if (grace < room_ms / 4)
		grace = room_ms / 4;
	return grace > GRACE_DEFAULT_MS ? GRACE_DEFAULT_MS : grace;
}

static const char *
ms_text(int64_t ms, char buf[DURATION_TEXT])
{
	return duration_text(ms * NSEC_PER_MSEC, buf);
}

/* Spans that clock_add() and the like may be fed with. */
static bool
is_sane(const struct timing *timing)
{
	const int64_t longest = DURATION_MAX / NSEC_PER_MSEC;

	return timing->refresh_ms >= 0 && timing->refresh_ms <= longest && timing->grace_ms >= -1 &&
	    timing->grace_ms <= longest && timing->delay_ms >= 0 && timing->delay_ms <= longest &&
	    timing->wait_ms >= -1 && timing->wait_ms <= longest && timing->connect_ms >= -1 &&
	    timing->connect_ms <= longest;
}

int
timing_resolve(struct timing *timing, char *why, size_t size)
{
	int64_t ttl_ms, margin, try_ms, room;

	if (timing->ttl_s < 1 || timing->ttl_s > DURATION_MAX / NSEC_PER_SEC) {
		snprintf(why, size, "a TTL of %" PRId64 " s is not possible; 1 s to 100 years works", timing->ttl_s);
		return -1;
	}
	if (!is_sane(timing)) {
		snprintf(why, size, "a span beside the TTL is negative or longer than 100 years");
		return -1;
	}
	ttl_ms = timing->ttl_s * 1000;
	margin = lease_margin(timing->ttl_s * NSEC_PER_SEC) / NSEC_PER_MSEC;
	try_ms = timing_try_limit(timing->ttl_s * NSEC_PER_SEC) / NSEC_PER_MSEC;
	if (timing->connect_ms < 0)
		timing->connect_ms = timing_connect_ms(timing, timing->wait_ms == 0);
	if (timing->refresh_ms == 0)
		timing->refresh_ms = ttl_ms / 2;
	room = ttl_ms - margin - timing->refresh_ms;
	if (timing->grace_ms < 0)
		timing->grace_ms = room > 0 ? default_grace(room) : 0;
	if (timing->grace_ms + try_ms > room) {
		char refresh[DURATION_TEXT], grace[DURATION_TEXT], reserve[DURATION_TEXT], one_try[DURATION_TEXT];

		snprintf(why, size,
		    "a TTL of %" PRId64
		    " s is too short: refresh %s + grace %s + margin %s + one try %s do not fit into it;"
		    " make the TTL longer, or the refresh period or the grace shorter",
		    timing->ttl_s, ms_text(timing->refresh_ms, refresh), ms_text(timing->grace_ms, grace),
		    ms_text(margin, reserve), ms_text(try_ms, one_try));
		return -1;
	}
	return 0;
}
