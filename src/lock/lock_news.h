/* What the user is told of a lock: events, each once however often it is posted, until they are delivered. */
#ifndef LOCK_LOCK_NEWS_H
#define LOCK_LOCK_NEWS_H

#include "lock/lock_struct.h"

/* Queue EVENT for the user, unless it is queued already. */
void lock_post(struct etcdlock *lock, enum etcdlock_event event);

/* Take what is queued back, but DROPPED, REFUSED and RELEASED: something has ended, and that is always told. STATE
 * stays, too: it is true of any state. */
void lock_forget_news(struct etcdlock *lock);

/* The oldest event; false where there is none. */
bool lock_next_news(struct etcdlock *lock, enum etcdlock_event *event);

#endif
