#include "base/backoff.h"
#include "base/random.h"

nsec
backoff_next(struct backoff *backoff)
{
	nsec bound = backoff->cap;

	if (backoff->retries < 32 && backoff->first < backoff->cap >> backoff->retries)
		bound = backoff->first << backoff->retries;
	backoff->retries++;
	return bound / 2 + (nsec)(random_uint64() % (uint64_t)(bound / 2 + 1));
}

void
backoff_reset(struct backoff *backoff)
{
	backoff->retries = 0;
}
