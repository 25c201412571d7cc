#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* True where the kernel has a generator (Linux 3.17, and no filter in the way). */
bool random_available(void);

/* 64 bits from the kernel's generator. Aborts where there is none: lease ids that collide would hand one lock to two
 * holders. */
uint64_t random_uint64(void);

#endif
