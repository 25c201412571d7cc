/* A lock: its state, and what moves it.
 *
 * What a protocol reports, what the user asks for and what a timer brings becomes an event (lock.c); the table says
 * what it leads to (lock_states.c); that is done (lock_act.c), and told (lock_news.c). Of these lock.c calls the
 * others, and none of them calls it. */
#ifndef LOCK_LOCK_H
#define LOCK_LOCK_H

#include "lock/lock_states.h"
#include "lock/lock_struct.h"

/* Set up what a lock of CLIENT needs to move; its texts and spans are set. Returns 0, or -1 when memory is short. */
__attribute__((warn_unused_result)) int lock_init(struct etcdlock *lock, const struct protocol *ops);
void lock_clear(struct etcdlock *lock);

/* The user asks for what EVENT says: LOCK_ASKED_FOR or LOCK_GIVEN_UP. */
void lock_want(struct etcdlock *lock, enum lock_event event);

/* Returns 0, or -1 with errno as etcdlock_reclaim() has it. */
__attribute__((warn_unused_result)) int
lock_reclaim(struct etcdlock *lock, const char *owner_key, int64_t create_revision, bool held);

/* CONTENDER.timing is another one. */
void lock_timing_changed(struct etcdlock *lock);

/* Where the deadline of a lock that is owned has passed, it is lost: true. A timer can come late, so every
 * caller that is about to act upon ownership asks first. */
bool lock_check_expired(struct etcdlock *lock);

#endif
