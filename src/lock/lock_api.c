/* The public functions of one lock, and the delivery of its events. */
#include "lock/lock.h"
#include "lock/lock_term.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two clocks are not read at the same moment. */
#define DEADLINE_JITTER NSEC_PER_MSEC

#define REJOIN_FIRST (100 * NSEC_PER_MSEC)
#define REJOIN_CAP (5 * NSEC_PER_SEC)

static void
on_deliver(int fd, short what, void *arg)
{
	struct etcdlock *lock = arg;
	struct lock_result *result;
	bool freed = false;

	(void)fd;
	(void)what;
	while ((result = TAILQ_FIRST(&lock->results)) != NULL) {
		TAILQ_REMOVE(&lock->results, result, link);
		lock->freed = &freed;
		if (result->done != NULL)
			result->done(lock, result->result, result->revision, result->error, result->arg);
		free(result);
		if (freed)
			return;
		lock->freed = NULL;
	}
	/* Before each: the callback may have taken its time. */
	while (lock_check_expired(lock), lock->pending_count > 0) {
		enum etcdlock_event event = lock->pending[0];

		lock->pending_count--;
		memmove(lock->pending, lock->pending + 1, lock->pending_count * sizeof(lock->pending[0]));
		lock->freed = &freed;
		lock->on_event(lock, event, lock->arg);
		if (freed)
			return;
		lock->freed = NULL;
	}
}

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

		if (event == ETCDLOCK_DROPPED || event == ETCDLOCK_REFUSED || event == ETCDLOCK_RELEASED)
			lock->pending[kept++] = event;
	}
	lock->pending_count = kept;
}

void
lock_post_result(struct etcdlock *lock, struct lock_result *result)
{
	TAILQ_INSERT_TAIL(&lock->results, result, link);
	loop_event_activate(lock->deliver);
}

/* Who moves a host over may look for its name in etcd, or give it as the id, as etcd-lock 1.x does. */
static void
say_id(const struct etcdlock *lock, const struct etcdlock_config *config)
{
	if (config->id == NULL)
		log_msg(&lock->client->log, LEVEL_NOTICE,
		    "with the v2 API our id is %.200s: an etcd-lock 1.x on this host would take a key with the host's name in it for its "
		    "own (an id of your own ends this message)",
		    lock->id);
	else if (strcmp(config->id, config->host) == 0)
		log_msg(&lock->client->log, LEVEL_WARNING,
		    "with the v2 API an etcd-lock 1.x on this host would take our key for its own, for both have the host's name "
		    "for an id, and we would lose it: give this process another one (id)");
}

struct etcdlock *
etcdlock_new(
    struct etcdlock_client *client, const struct etcdlock_config *config, etcdlock_event_fn on_event, void *arg)
{
	struct etcdlock *lock;
	char why[1];

	if (etcdlock_config_check(config, why, sizeof(why)) == -1)
		return NULL;
	if (on_event == NULL) {
		errno = EINVAL;
		return NULL;
	}
	lock = calloc(1, sizeof(*lock));
	if (lock == NULL)
		return NULL;
	lock->client = client;
	lock->asked = lock->timing = config->timing;
	(void)timing_resolve(&lock->timing, why, sizeof(why)); /* checked */
	lock->renewal = config->renewal;
	TAILQ_INIT(&lock->results);
	lock->on_event = on_event;
	lock->arg = arg;
	lock->ahead = -1;
	lock->rejoin = (struct backoff){ .first = REJOIN_FIRST, .cap = REJOIN_CAP };
	lock->ops = config->v2 ? &backend_v2 : &backend_v3;
	lock_timers_init(lock);
	lock->key = strdup(config->key);
	lock->id = strdup(etcdlock_config_id(config));
	lock->deliver = loop_event(client->loop, -1, 0, PRIORITY_DEADLINE, on_deliver, lock);
	if (lock->key != NULL && lock->id != NULL && lock->deliver != NULL)
		lock->backend = lock->ops->new (lock);
	if (lock->backend == NULL) {
		etcdlock_free(lock);
		errno = ENOMEM;
		return NULL;
	}
	client->locks++;
	if (config->v2)
		say_id(lock, config);
	return lock;
}

void
etcdlock_free(struct etcdlock *lock)
{
	struct lock_result *result, *next;

	if (lock == NULL)
		return;
	if (lock->freed != NULL)
		*lock->freed = true;
	lock_timers_stop(lock);
	if (lock->backend != NULL) {
		lock->ops->free(lock->backend);
		lock->client->locks--;
	}
	if (lock->deliver != NULL)
		loop_event_free(lock->deliver);
	for (result = TAILQ_FIRST(&lock->results); result != NULL; result = next) {
		next = TAILQ_NEXT(result, link);
		free(result);
	}
	free(lock->key);
	free(lock->id);
	free(lock->holder);
	free(lock->holder_key);
	free(lock);
}

int
etcdlock_set(struct etcdlock *lock, const char *name, const char *value, char *why, size_t size)
{
	static const char *const changeable[] = { "ttl", "refresh", "grace", "wait", "lock-delay" };
	struct etcdlock_config config = { .timing = lock->asked };
	struct timing resolved;
	size_t i = 0;

	while (i < sizeof(changeable) / sizeof(changeable[0]) && strcmp(changeable[i], name) != 0)
		i++;
	if (i == sizeof(changeable) / sizeof(changeable[0])) {
		snprintf(why, size, "'%.64s' cannot be changed; ttl, refresh, grace, wait and lock-delay can", name);
		errno = EINVAL;
		return -1;
	}
	if (etcdlock_config_set(&config, name, value, why, size) == -1)
		return -1;
	resolved = config.timing;
	if (timing_resolve(&resolved, why, size) == -1) {
		errno = EINVAL;
		return -1;
	}
	lock->asked = config.timing;
	lock->timing = resolved;
	lock_timing_changed(lock);
	return 0;
}

int
etcdlock_lock(struct etcdlock *lock)
{
	switch (lock->state) {
	case ETCDLOCK_IDLE:
		lock_begin(lock);
		return 0;
	case ETCDLOCK_HELD:
	case ETCDLOCK_DOUBTFUL:
		lock->ops->renew(lock->backend, true);
		return 0;
	case ETCDLOCK_GRANTING:
	case ETCDLOCK_CONTENDING:
	case ETCDLOCK_WAITING:
		return 0;
	case ETCDLOCK_RELEASING:
	case ETCDLOCK_LOST:
		break;
	}
	errno = EBUSY;
	return -1;
}

int
etcdlock_unlock(struct etcdlock *lock)
{
	if (lock->state == ETCDLOCK_IDLE || lock->state == ETCDLOCK_RELEASING) {
		errno = EINVAL;
		return -1;
	}
	/* Whoever has worked beyond the deadline hears of it: DROPPED comes before RELEASED. */
	(void)lock_check_expired(lock);
	lock_end(lock);
	return 0;
}

int
etcdlock_reclaim(struct etcdlock *lock, const char *owner_key, int64_t create_revision, bool held)
{
	if (lock->state != ETCDLOCK_IDLE) {
		errno = EBUSY;
		return -1;
	}
	return lock_reclaim(lock, owner_key, create_revision, held);
}

int
etcdlock_txn(struct etcdlock *lock, const struct etcdlock_op *ops, size_t count, etcdlock_txn_fn done, void *arg)
{
	bool good = count > 0 && ops != NULL;

	for (size_t i = 0; good && i < count; i++)
		good = ops[i].key != NULL;
	if (!good || lock->ops->txn == NULL) {
		errno = good ? ENOTSUP : EINVAL;
		return -1;
	}
	if (!lock_owned(lock)) {
		errno = ENOLCK;
		return -1;
	}
	return lock->ops->txn(lock->backend, ops, count, done, arg);
}

const char *
etcdlock_key(const struct etcdlock *lock)
{
	return lock->key;
}

const char *
etcdlock_id(const struct etcdlock *lock)
{
	return lock->id;
}

enum etcdlock_state
etcdlock_state(const struct etcdlock *lock)
{
	return lock->state;
}

int64_t
etcdlock_deadline(const struct etcdlock *lock)
{
	nsec measured;

	if (!lock_owned(lock))
		return 0;
	/* Where the other clock says that more time has passed, it is sooner. */
	measured = clock_now() + term_left(lock);
	return measured < lock->deadline - DEADLINE_JITTER ? measured : lock->deadline;
}

int64_t
etcdlock_revision(const struct etcdlock *lock)
{
	return lock->revision;
}

const char *
etcdlock_owner_key(const struct etcdlock *lock)
{
	return lock->ops->owner_key(lock->backend);
}

int64_t
etcdlock_create_revision(const struct etcdlock *lock)
{
	return lock->ops->create_revision(lock->backend);
}

const char *
etcdlock_holder(const struct etcdlock *lock)
{
	return lock->holder == NULL ? "" : lock->holder;
}

const char *
etcdlock_holder_key(const struct etcdlock *lock)
{
	return lock->holder_key;
}

long
etcdlock_ahead(const struct etcdlock *lock)
{
	return lock->ahead;
}

enum etcdlock_failure
etcdlock_failure(const struct etcdlock *lock)
{
	return lock->failure;
}

const char *
etcdlock_error(const struct etcdlock *lock)
{
	return lock->error;
}
