#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

nsec
clock_now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_BOOTTIME, &ts) == -1)
		abort();
	return (nsec)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

nsec
clock_add(nsec a, nsec b)
{
	nsec sum;

	return __builtin_add_overflow(a, b, &sum) ? NSEC_NEVER : sum;
}
