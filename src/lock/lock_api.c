/* The public functions of one lock, and the delivery of its events. */
#include "lock/config.h"
#include "lock/lock.h"
#include "lock/lock_news.h"
#include "lock/lock_term.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two clocks are not read at the same moment. */
#define DEADLINE_JITTER NSEC_PER_MSEC

static void
on_deliver(int fd, short what, void *arg)
{
	struct etcdlock *lock = arg;
	enum etcdlock_event event;
	struct lock_result *result;
	bool freed = false;

	(void)fd;
	(void)what;
	while ((result = TAILQ_FIRST(&lock->events.results)) != NULL) {
		TAILQ_REMOVE(&lock->events.results, result, link);
		lock->freed = &freed;
		if (result->done != NULL)
			result->done(lock, result->result, result->revision, result->error, result->arg);
		free(result);
		if (freed)
			return;
		lock->freed = NULL;
	}
	/* Before each: the callback might have taken its time. */
	while (lock_check_expired(lock), lock_next_news(lock, &event)) {
		lock->freed = &freed;
		lock->on_event(lock, event, lock->arg);
		if (freed)
			return;
		lock->freed = NULL;
	}
}

/* People who move a host over from etcd-lock 1.x look for its name in etcd, or give it as the id. */
static void
say_id(const struct etcdlock *lock, const struct etcdlock_config *config)
{
	if (config->id == NULL)
		log_msg(&lock->client->session->log, LEVEL_NOTICE,
		    "with the v2 API our id is %.200s: an etcd-lock 1.x on this host would take a key with the host's name in it for its "
		    "own (an id of your own ends this message)",
		    lock->id);
	else if (strcmp(config->id, config->host) == 0)
		log_msg(&lock->client->session->log, LEVEL_WARNING,
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
	lock->asked = lock->contender.timing = config->timing;
	(void)timing_resolve(&lock->contender.timing, why, sizeof(why)); /* checked */
	lock->contender.renewal = config->renewal;
	lock->on_event = on_event;
	lock->arg = arg;
	lock->key = strdup(config->key);
	lock->id = strdup(etcdlock_config_id(config));
	lock->deliver = loop_event(client->session->loop, -1, 0, PRIORITY_DEADLINE, on_deliver, lock);
	if (lock->key == NULL || lock->id == NULL || lock->deliver == NULL ||
	    lock_init(lock, config->v2 ? &protocol_v2 : &protocol_v3) == -1) {
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
	if (lock == NULL)
		return;
	if (lock->freed != NULL)
		*lock->freed = true;
	if (lock->protocol != NULL)
		lock->client->locks--;
	lock_clear(lock);
	loop_event_free(lock->deliver);
	free(lock->key);
	free(lock->id);
	free(lock->holder);
	free(lock->holder_key);
	free(lock);
}

/* Always -1. */
static int
refuse_change(const char *name, char *why, size_t size)
{
	char list[128] = "";
	size_t left = 0;

	for (size_t i = 0; i < SETTINGS; i++)
		left += config_settings[i].changeable;
	for (size_t i = 0; i < SETTINGS; i++) {
		if (!config_settings[i].changeable)
			continue;
		strcat(list, config_settings[i].name);
		left--;
		strcat(list, left > 1 ? ", " : left == 1 ? " and " : "");
	}
	snprintf(why, size, "'%.64s' cannot be changed; %s can", name, list);
	errno = EINVAL;
	return -1;
}

int
etcdlock_set(struct etcdlock *lock, const char *name, const char *value, char *why, size_t size)
{
	struct etcdlock_config config = { .timing = lock->asked };
	const struct setting *setting = config_setting(name);
	struct timing resolved;

	if (setting == NULL || !setting->changeable)
		return refuse_change(name, why, size);
	if (etcdlock_config_set(&config, name, value, why, size) == -1)
		return -1;
	resolved = config.timing;
	if (timing_resolve(&resolved, why, size) == -1) {
		errno = EINVAL;
		return -1;
	}
	lock->asked = config.timing;
	lock->contender.timing = resolved;
	lock_timing_changed(lock);
	return 0;
}

int
etcdlock_lock(struct etcdlock *lock)
{
	if (lock->state == ETCDLOCK_RELEASING || lock->state == ETCDLOCK_LOST) {
		errno = EBUSY;
		return -1;
	}
	lock_want(lock, LOCK_ASKED_FOR);
	return 0;
}

int
etcdlock_unlock(struct etcdlock *lock)
{
	if (lock->state == ETCDLOCK_IDLE || lock->state == ETCDLOCK_RELEASING) {
		errno = EINVAL;
		return -1;
	}
	/* A user who has worked beyond the deadline hears of it: DROPPED comes before RELEASED. */
	(void)lock_check_expired(lock);
	lock_want(lock, LOCK_GIVEN_UP);
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
	return lock->ops->txn(lock->protocol, ops, count, done, arg);
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
	return measured < lock->contender.deadline - DEADLINE_JITTER ? measured : lock->contender.deadline;
}

int64_t
etcdlock_revision(const struct etcdlock *lock)
{
	return lock->revision;
}

const char *
etcdlock_owner_key(const struct etcdlock *lock)
{
	return lock->ops->owner_key(lock->protocol);
}

int64_t
etcdlock_create_revision(const struct etcdlock *lock)
{
	return lock->ops->create_revision(lock->protocol);
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

bool
etcdlock_ahead_is_exact(const struct etcdlock *lock)
{
	return lock->ahead >= 0 && !lock->far;
}

enum etcdlock_failure
etcdlock_failure(const struct etcdlock *lock)
{
	return lock->failure;
}

const char *
etcdlock_error(const struct etcdlock *lock)
{
	return lock->error == NULL ? "" : lock->error;
}
