/* The clocks of the project, in nanoseconds. Points in time are on CLOCK_BOOTTIME: it does not stop in suspend, and
 * nobody can set it. But it can be slewed (NTP does, chrony by up to 8.3 %), so what a lease's life hangs on is
 * measured with CLOCK_MONOTONIC_RAW as well, which cannot, and which stops in suspend: the larger of the two spans
 * counts. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* A point on CLOCK_BOOTTIME or a span of it, in nanoseconds. Spans are never negative unless said. */
typedef int64_t nsec;

#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_SEC INT64_C(1000000000)
#define NSEC_NEVER INT64_MAX

/* Now. Cannot fail on Linux >= 2.6.39; aborts if it does, for nothing here is safe without a clock. */
nsec clock_now(void);

/* One moment, on both clocks. */
struct moment {
	nsec boot, raw;
};

struct moment clock_moment(void);

/* How long ago SINCE was: the larger of what the two clocks say. */
nsec clock_elapsed(const struct moment *since);

/* When to look again at something that is LEFT away: no timer runs on CLOCK_MONOTONIC_RAW, so one on CLOCK_BOOTTIME is
 * set to nine tenths of what is left, and then again, until the rest is small. Returns a point on CLOCK_BOOTTIME. */
nsec clock_check_at(nsec left);

/* A + B, or NSEC_NEVER where the sum does not fit. Both must be >= 0. */
nsec clock_add(nsec a, nsec b);

#endif
