/* Releasing what a supervisor that was killed has left in etcd. */
#ifndef ETCDLOCKER_RECLAIM_H
#define ETCDLOCKER_RECLAIM_H

#include "etcdlocker/setup.h"

/* Release the lock, or leave the queue, that SETUP's deadman page tells of, for at most 5 s. The tree must be dead. For
 * a process of its own. */
void reclaim_run(const struct setup *setup);

#endif
