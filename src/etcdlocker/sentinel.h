/* The sentinel: the main process, which outlives everything else. It passes signals on, reaps, relays the exit code,
 * and is the dead man's switch: a supervisor that dies, hangs or is stopped cannot leave COMMAND running beyond the
 * lease. It uses no library and no memory after its start. */
#ifndef ETCDLOCKER_SENTINEL_H
#define ETCDLOCKER_SENTINEL_H

#include "etcdlocker/supervisor.h"

/* Fork the supervisor, guard it, return the exit code. In the supervisor's process it does not return. */
int sentinel_run(struct setup *setup);

#endif
