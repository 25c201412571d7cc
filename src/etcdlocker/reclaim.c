#include "etcdlocker/reclaim.h"

#include "base/loop.h"
#include "lock/etcdlock.h"

struct reclaim {
	const struct setup *setup;
	struct loop *loop;
};

static void
on_event(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	const struct reclaim *reclaim = arg;

	if (event != ETCDLOCK_RELEASED)
		return;
	if (etcdlock_failure(lock) != ETCDLOCK_FAILURE_NONE)
		log_msg(reclaim->setup->log, LEVEL_DEBUG, "lock %.200s %s", reclaim->setup->options->key,
		    etcdlock_error(lock));
	loop_stop(reclaim->loop);
}

void
reclaim_run(const struct setup *setup)
{
	struct reclaim reclaim = { .setup = setup };
	const struct options *options = setup->options;
	const struct deadman_page *shared = setup->deadman->shared;
	struct etcdlock_client *client = NULL;
	struct etcdlock *lock = NULL;
	char why[256];

	reclaim.loop = loop_new(NULL, NULL);
	if (reclaim.loop != NULL)
		client = etcdlock_client_new(
		    loop_base(reclaim.loop), options->config, setup->log->write, setup->log->arg, why, sizeof(why));
	if (client != NULL)
		lock = etcdlock_new(client, options->config, on_event, &reclaim);
	if (lock != NULL &&
	    etcdlock_reclaim(
		lock, shared->owner_key, atomic_load(&shared->create_revision), atomic_load(&shared->held)) == 0)
		loop_run(reclaim.loop);
	etcdlock_free(lock);
	etcdlock_client_free(client);
	loop_free(reclaim.loop);
}
