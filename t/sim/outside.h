/* What others do to the store. */
#ifndef T_SIM_OUTSIDE_H
#define T_SIM_OUTSIDE_H

#include "faults.h"

/* Delete, or write, the key of who holds the lock or waits for it. */
void outside_delete(struct fault *fault);

/* Put data below a lock's key, more than a look's first page has room for, in one transaction or in several. */
void outside_clutter(struct fault *fault);

/* Put an older copy in the store's place. */
void outside_restore(struct fault *fault);

#endif
