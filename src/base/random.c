#include "base/random.h"

#include <stdlib.h>
#include <sys/random.h>

uint64_t
random_uint64(void)
{
	uint64_t value;

	/* Requests of up to 256 bytes are neither interrupted nor cut short (getrandom(2)). */
	if (getrandom(&value, sizeof(value), 0) != sizeof(value))
		abort();
	return value;
}
