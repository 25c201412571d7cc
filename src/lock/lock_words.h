/* What the machine of a lock says: texts for etcdlock_error(), and lines for the log. */
#ifndef LOCK_LOCK_WORDS_H
#define LOCK_LOCK_WORDS_H

#include "lock/lock_struct.h"

/* The cause of what has become of the lock is TEXT (from malloc(), taken; NULL: memory was short for it). */
void lock_set_error(struct etcdlock *lock, char *text);
void lock_clear_error(struct etcdlock *lock);

/* Likewise, a try has failed for the reason TEXT. */
void lock_set_trouble(struct etcdlock *lock, char *text);

/* No try has failed since the last success. */
void lock_clear_trouble(struct etcdlock *lock);

/* Into ERROR: no endpoint was of use within the connect timeout. */
void lock_say_unreachable(struct etcdlock *lock);

/* Into ERROR: somebody else has it. */
void lock_say_conflict(struct etcdlock *lock);

/* Into ERROR: the time to wait was over before our place in the queue was known, or while etcd did not answer. */
void lock_say_not_queued(struct etcdlock *lock);

/* Into ERROR: what we have in etcd stays for so long as LEFT says. */
void lock_say_unreleased(struct etcdlock *lock, nsec left);

/* Into ERROR, unless it has said so already: the lease could not be renewed. */
void lock_say_not_renewed(struct etcdlock *lock);

/* Renewals have failed for a while: the operator is to hear of it before it costs the lock. Once, for a lock that
 * is in doubt. */
void lock_say_doubt(void *lock);

#endif
