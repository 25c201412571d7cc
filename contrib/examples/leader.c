/* A leader that counts, in etcd, as long as it leads: the work is done in transactions that etcd carries out only for
 *the holder, stops when the lock is in doubt, and the lock is given back on SIGINT or SIGTERM.
 *
 *	cc leader.c $(pkg-config --cflags --libs libetcdlock) -o leader
 *	./leader /example/leader
 */
#include <etcdlock.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct leader {
	struct event_base *base;
	struct etcdlock *lock;
	struct event *tick;
	long count;
	bool lost;
	int status;
};

static void
stop(struct leader *leader, int status)
{
	leader->status = status;
	event_base_loopbreak(leader->base);
}

static void
on_written(struct etcdlock *lock, enum etcdlock_txn_result result, int64_t revision, const char *error, void *arg)
{
	const struct leader *leader = arg;

	(void)lock;
	if (result == ETCDLOCK_TXN_DONE)
		printf("count %ld at revision %" PRId64 "\n", leader->count, revision);
	else
		printf("count %ld not written: %s\n", leader->count, error);
	fflush(stdout);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct leader *leader = arg;
	char key[256], value[32];
	struct etcdlock_op op = { .key = key, .value = value };

	(void)fd;
	(void)what;
	leader->count++;
	snprintf(key, sizeof(key), "%s-count", etcdlock_key(leader->lock));
	op.len = (size_t)snprintf(value, sizeof(value), "%ld", leader->count);
	if (etcdlock_txn(leader->lock, &op, 1, on_written, leader) == -1)
		perror("etcdlock_txn");
}

static void
on_event(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	static const struct timeval period = { .tv_usec = 200000 };
	struct leader *leader = arg;

	switch (event) {
	case ETCDLOCK_QUEUE:
		printf("standing by: %ld ahead, %s leads\n", etcdlock_ahead(lock), etcdlock_holder(lock));
		break;
	case ETCDLOCK_ACQUIRED:
		printf("leading, fencing token %" PRId64 "\n", etcdlock_revision(lock));
		event_add(leader->tick, &period);
		break;
	case ETCDLOCK_EXPIRING: /* there is the grace to end in; work that cannot be undone must not begin now */
		event_del(leader->tick);
		break;
	case ETCDLOCK_RENEWED:
		event_add(leader->tick, &period);
		break;
	case ETCDLOCK_DROPPED:
		printf("lost: %s\n", etcdlock_error(lock));
		event_del(leader->tick);
		leader->lost = true;
		etcdlock_unlock(lock); /* its lease may still be there */
		break;
	case ETCDLOCK_REFUSED:
		printf("not acquired: %s\n", etcdlock_error(lock));
		stop(leader, 1);
		break;
	case ETCDLOCK_RELEASED:
		printf("released\n");
		stop(leader, leader->lost ? 2 : 0);
		break;
	case ETCDLOCK_STATE:
		break;
	}
	fflush(stdout);
}

/* Leaves the queue, or gives the lock back; a second signal does not wait for that. */
static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct leader *leader = arg;

	(void)fd;
	(void)what;
	event_del(leader->tick);
	if (etcdlock_unlock(leader->lock) == -1)
		stop(leader, 1);
}

static void
log_line(void *arg, int level, const char *line)
{
	(void)arg;
	if (level < ETCDLOCK_LOG_DEBUG)
		fprintf(stderr, "%s\n", line);
}

int
main(int argc, char *argv[])
{
	char why[256] = "no memory";
	struct leader leader = { .base = event_base_new(), .status = 1 };
	struct event *interrupt = evsignal_new(leader.base, SIGINT, on_signal, &leader);
	struct event *terminate = evsignal_new(leader.base, SIGTERM, on_signal, &leader);
	struct etcdlock_config *config = etcdlock_config_new();
	struct etcdlock_client *client = NULL;

	leader.tick = event_new(leader.base, -1, EV_PERSIST, on_tick, &leader);
	event_add(interrupt, NULL);
	event_add(terminate, NULL);
	if (config != NULL &&
	    etcdlock_config_set(config, "key", argc > 1 ? argv[1] : "/example/leader", why, sizeof(why)) == 0 &&
	    etcdlock_config_from_env(config, why, sizeof(why)) == 0 &&
	    etcdlock_config_check(config, why, sizeof(why)) == 0)
		client = etcdlock_client_new(leader.base, config, log_line, NULL, why, sizeof(why));
	if (client != NULL)
		leader.lock = etcdlock_new(client, config, on_event, &leader);
	etcdlock_config_free(config);
	if (leader.lock != NULL && etcdlock_lock(leader.lock) == 0)
		event_base_dispatch(leader.base);
	else
		fprintf(stderr, "%s\n", why);
	etcdlock_free(leader.lock);
	etcdlock_client_free(client);
	event_free(leader.tick);
	event_free(interrupt);
	event_free(terminate);
	event_base_free(leader.base);
	return leader.status;
}
