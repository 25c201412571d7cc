/* Two threads, a base and a client each, that take turns with one lock. The library has no state of its own, so they
 *need nothing from each other; that they never run together is etcd's doing, and is checked with a plain variable.
 *
 *	cc -pthread threads.c $(pkg-config --cflags --libs libetcdlock) -o threads
 */
#include <etcdlock.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define TURNS 5

static atomic_int inside, together;

struct turns {
	struct event_base *base;
	const char *id;
	int left;
	char why[256];
};

static void
on_event(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	struct turns *turns = arg;

	switch (event) {
	case ETCDLOCK_ACQUIRED:
		if (atomic_fetch_add(&inside, 1) != 0)
			atomic_fetch_add(&together, 1);
		printf("%s\n", turns->id);
		atomic_fetch_sub(&inside, 1);
		etcdlock_unlock(lock);
		break;
	case ETCDLOCK_RELEASED:
		if (--turns->left > 0)
			etcdlock_lock(lock);
		else
			event_base_loopbreak(turns->base);
		break;
	case ETCDLOCK_DROPPED:
	case ETCDLOCK_REFUSED:
		snprintf(turns->why, sizeof(turns->why), "%s", etcdlock_error(lock));
		event_base_loopbreak(turns->base);
		break;
	default:
		break;
	}
}

static void *
take_turns(void *arg)
{
	struct turns *turns = arg;
	struct etcdlock_config *config = etcdlock_config_new();
	struct etcdlock_client *client = NULL;
	struct etcdlock *lock = NULL;

	turns->base = event_base_new();
	if (turns->base != NULL && config != NULL &&
	    etcdlock_config_set(config, "key", "/example/threads", turns->why, sizeof(turns->why)) == 0 &&
	    etcdlock_config_set(config, "id", turns->id, turns->why, sizeof(turns->why)) == 0 &&
	    etcdlock_config_from_env(config, turns->why, sizeof(turns->why)) == 0)
		client = etcdlock_client_new(turns->base, config, NULL, NULL, turns->why, sizeof(turns->why));
	if (client != NULL)
		lock = etcdlock_new(client, config, on_event, turns);
	if (lock != NULL && etcdlock_lock(lock) == 0)
		event_base_dispatch(turns->base);
	etcdlock_free(lock);
	etcdlock_client_free(client);
	etcdlock_config_free(config);
	if (turns->base != NULL)
		event_base_free(turns->base);
	return NULL;
}

int
main(void)
{
	struct turns turns[2] = { { .id = "one", .left = TURNS }, { .id = "two", .left = TURNS } };
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, take_turns, &turns[i]) != 0)
			return 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++)
		if (turns[i].left > 0)
			fprintf(stderr, "%s: %s\n", turns[i].id, turns[i].why);
	printf("together: %d\n", atomic_load(&together));
	return turns[0].left > 0 || turns[1].left > 0 || atomic_load(&together) > 0;
}
