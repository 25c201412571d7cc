/* The one clock of the project: CLOCK_BOOTTIME, in nanoseconds. It does not stop in suspend
 * and nobody can set it, so a lease measured with it never looks younger than it is. */
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

/* A + B, or NSEC_NEVER where the sum does not fit. Both must be >= 0. */
nsec clock_add(nsec a, nsec b);

#endif
