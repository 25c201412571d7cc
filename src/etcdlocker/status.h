/* --status: who has the lock, and who waits for it. */
#ifndef ETCDLOCKER_STATUS_H
#define ETCDLOCKER_STATUS_H

#include "base/log.h"
#include "etcdlocker/options.h"

/* Print it, once or with --watch for ever. Returns the exit code: STATUS_HELD, STATUS_FREE or STATUS_UNKNOWN. */
int status_run(const struct options *options, const struct logger *log);

#define STATUS_HELD 0
#define STATUS_FREE 1 /* with --mine: or somebody else's */
#define STATUS_UNKNOWN 2

#endif
