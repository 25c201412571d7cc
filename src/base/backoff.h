/* Exponential backoff with jitter, so that contenders that failed together do not come back together. */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include "base/clock.h"

struct backoff {
	nsec first;       /* the first delay's upper bound */
	nsec cap;         /* no delay is longer */
	unsigned retries; /* since the last backoff_reset() */
};

/* The next delay: uniform in [bound / 2, bound], where the bound doubles from FIRST up to CAP. */
nsec backoff_next(struct backoff *backoff);

/* It worked: start from FIRST again. */
void backoff_reset(struct backoff *backoff);

#endif
