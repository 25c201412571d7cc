#include "base/random.h"

#include <stdlib.h>
#include <sys/random.h>

/* Requests of up to 256 bytes are neither interrupted nor cut short (getrandom(2)). */
static bool
get(uint64_t *value)
{
	return getrandom(value, sizeof(*value), 0) == sizeof(*value);
}

bool
random_available(void)
{
	uint64_t value;

	return get(&value);
}

uint64_t
random_uint64(void)
{
	uint64_t value;

	if (!get(&value))
		abort();
	return value;
}
