#include "child/patience.h"

#define FIRST NSEC_PER_SEC
#define LONGEST (3600 * NSEC_PER_SEC)

void
patience_begin(struct patience *patience)
{
	patience->next = clock_now() + FIRST;
	patience->span = 60 * NSEC_PER_SEC;
}

bool
patience_over(struct patience *patience)
{
	nsec now = clock_now();

	if (now < patience->next)
		return false;
	patience->next = now + patience->span;
	patience->span = patience->span * 10 > LONGEST ? LONGEST : patience->span * 10;
	return true;
}
