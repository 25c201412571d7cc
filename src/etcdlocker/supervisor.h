/* The supervisor: one loop that holds the lock and runs COMMAND under it. */
#ifndef ETCDLOCKER_SUPERVISOR_H
#define ETCDLOCKER_SUPERVISOR_H

#include "etcdlocker/setup.h"

/* Acquire, run, release. Returns the exit code; the last line is written. */
int supervisor_run(struct setup *setup);

#endif
