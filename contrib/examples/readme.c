/* The example of etcd-lock's README, in C:
 *
 *	lock.lock()
 *	  .then(() => { console.log("locked"); return lock.unlock(); })
 *	  .then(() => { console.log("unlocked"); });
 *
 * with the error handling that it leaves out.
 *
 *	cc readme.c $(pkg-config --cflags --libs libetcdlock) -o readme
 */
#include <etcdlock.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>

static int status = 1;

static void
on_event(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	struct event_base *base = arg;

	switch (event) {
	case ETCDLOCK_ACQUIRED:
		printf("locked\n");
		/* do stuff here */
		etcdlock_unlock(lock);
		break;
	case ETCDLOCK_RELEASED:
		printf("unlocked\n");
		status = 0;
		event_base_loopbreak(base);
		break;
	case ETCDLOCK_DROPPED: /* the error event of the original */
		fprintf(stderr, "lost %s as %s, revision %" PRId64 ": %s\n", etcdlock_key(lock), etcdlock_id(lock),
		    etcdlock_revision(lock), etcdlock_error(lock));
		event_base_loopbreak(base);
		break;
	case ETCDLOCK_REFUSED:
		fprintf(stderr, "not locked: %s\n", etcdlock_error(lock));
		event_base_loopbreak(base);
		break;
	default:
		break;
	}
}

int
main(void)
{
	char why[256] = "no memory";
	struct event_base *base = event_base_new();
	struct etcdlock_config *config = etcdlock_config_new();
	struct etcdlock_client *client = NULL;
	struct etcdlock *lock = NULL;

	/* var key = "/example/lock", id = os.hostname(), ttl = 60; and $ETCD_LOCK_HOST says where etcd is */
	if (base != NULL && config != NULL &&
	    etcdlock_config_set(config, "key", "/example/lock", why, sizeof(why)) == 0 &&
	    etcdlock_config_set(config, "ttl", "60", why, sizeof(why)) == 0 &&
	    etcdlock_config_from_env(config, why, sizeof(why)) == 0)
		client = etcdlock_client_new(base, config, NULL, NULL, why, sizeof(why));
	if (client != NULL)
		lock = etcdlock_new(client, config, on_event, base);
	if (lock != NULL && etcdlock_lock(lock) == 0)
		event_base_dispatch(base);
	else
		fprintf(stderr, "%s\n", why);
	etcdlock_free(lock);
	etcdlock_client_free(client);
	etcdlock_config_free(config);
	if (base != NULL)
		event_base_free(base);
	return status;
}
