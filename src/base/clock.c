#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

/* What is left of a span is slept through as a whole from here on: 8.3 % of it is little. */
#define SMALL (100 * NSEC_PER_MSEC)

static nsec
read_clock(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) == -1)
		abort();
	return (nsec)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

nsec
clock_now(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

struct moment
clock_moment(void)
{
	return (struct moment){ .boot = read_clock(CLOCK_BOOTTIME), .raw = read_clock(CLOCK_MONOTONIC_RAW) };
}

nsec
clock_elapsed(const struct moment *since)
{
	struct moment now = clock_moment();
	nsec boot = now.boot - since->boot, raw = now.raw - since->raw;

	return boot > raw ? boot : raw;
}

nsec
clock_check_at(nsec left)
{
	return clock_add(clock_now(), left > SMALL ? left / 10 * 9 : left > 0 ? left : 0);
}

nsec
clock_add(nsec a, nsec b)
{
	nsec sum;

	return __builtin_add_overflow(a, b, &sum) ? NSEC_NEVER : sum;
}
