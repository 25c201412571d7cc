/* How often to say that something still cannot be killed: soon, and then ever less often. */
#ifndef CHILD_PATIENCE_H
#define CHILD_PATIENCE_H

#include "base/clock.h"

#include <stdbool.h>

struct patience {
	nsec next, span;
};

void patience_begin(struct patience *patience);

/* True where it is to be said now: a second after the beginning, then a minute after that, ten minutes after that, and
 * then each hour. */
bool patience_over(struct patience *patience);

#endif
