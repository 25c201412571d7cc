/* What a lock does, as its table says. */
#ifndef LOCK_LOCK_ACT_H
#define LOCK_LOCK_ACT_H

#include "lock/lock_states.h"
#include "lock/lock_struct.h"

/* Do what ACTION says, in the state that it led to. REPORT is what it came from; NULL: it came from no report. */
void lock_perform(struct etcdlock *lock, enum lock_action action, const struct report *report);

void lock_stop_timers(struct etcdlock *lock);

/* Count the lease of a lock that is ours from TERM. */
void lock_count(struct etcdlock *lock, const struct lease_term *term);

#endif
