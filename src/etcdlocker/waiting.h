/* What is said while others hold the lock. */
#ifndef ETCDLOCKER_WAITING_H
#define ETCDLOCKER_WAITING_H

#include "etcdlocker/setup.h"
#include "lock/etcdlock.h"

#include <stdbool.h>

/* True where the etcdlocker that runs us holds LOCK itself: as long as we wait for it, it waits for us. */
bool waiting_for_parent(const struct etcdlock *lock);

/* Say for whom we wait: to the service manager and on a terminal each time, else the first time, for a log is to tell
 * it, too. SAID: that it was, once. A user who does not wait at all hears of it at the end. */
void waiting_say(const struct setup *setup, const struct etcdlock *lock, bool *said);

#endif
