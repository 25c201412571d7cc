#include "lock/lock_news.h"

#include <string.h>

void
lock_post(struct etcdlock *lock, enum etcdlock_event event)
{
	for (size_t i = 0; i < lock->pending_count; i++)
		if (lock->pending[i] == event)
			return;
	lock->pending[lock->pending_count++] = event;
	loop_event_activate(lock->deliver);
}

void
lock_forget_news(struct etcdlock *lock)
{
	size_t kept = 0;

	for (size_t i = 0; i < lock->pending_count; i++) {
		enum etcdlock_event event = lock->pending[i];

		if (event == ETCDLOCK_DROPPED || event == ETCDLOCK_REFUSED || event == ETCDLOCK_RELEASED ||
		    event == ETCDLOCK_STATE)
			lock->pending[kept++] = event;
	}
	lock->pending_count = kept;
}

bool
lock_next_news(struct etcdlock *lock, enum etcdlock_event *event)
{
	if (lock->pending_count == 0)
		return false;
	*event = lock->pending[0];
	lock->pending_count--;
	memmove(lock->pending, lock->pending + 1, lock->pending_count * sizeof(lock->pending[0]));
	return true;
}
