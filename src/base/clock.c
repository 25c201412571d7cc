/* Reading the clocks. What is done with them is in clock_spans.c, so that a test or a simulation can replace this. */
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

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
