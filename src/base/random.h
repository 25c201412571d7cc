#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

/* 64 bits from the kernel's generator. Aborts where the kernel has none (Linux < 3.17): lease ids that
 * collide would hand one lock to two holders. */
uint64_t random_uint64(void);

#endif
