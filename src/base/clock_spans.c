#include "base/clock.h"

/* What is left of a span is slept through as a whole from here on: 8.3 % of it is little. */
#define SMALL (100 * NSEC_PER_MSEC)

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
