/* N contenders for one lock in this process, for t/bench/scale: contenders ENDPOINT KEY N ROUNDS. They queue; a line on
 * stdin lets the first one go, and each that acquires the lock gives it back at once, ROUNDS times. Prints each
 * hand-over in microseconds: from the moment that it is given back until the next one has it. */
#include "lock/etcdlock.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct run {
	struct event_base *base;
	struct etcdlock *first;
	long rounds;
	double given; /* when the lock was given back; 0: it was not yet */
};

static double
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void
give(struct run *run, struct etcdlock *lock)
{
	run->given = now_us();
	(void)etcdlock_unlock(lock);
}

static void
on_event(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	struct run *run = arg;

	if (event == ETCDLOCK_REFUSED || event == ETCDLOCK_DROPPED) {
		fprintf(stderr, "contenders: %s\n", etcdlock_error(lock));
		exit(1);
	}
	if (event != ETCDLOCK_ACQUIRED)
		return;
	if (run->given == 0) {
		run->first = lock;
		return;
	}
	printf("%.0f\n", now_us() - run->given);
	if (--run->rounds > 0)
		give(run, lock);
	else
		event_base_loopbreak(run->base);
}

static void
on_go(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;
	char line[16];

	(void)what;
	if (read(fd, line, sizeof(line)) > 0 && run->first != NULL)
		give(run, run->first);
}

int
main(int argc, char *argv[])
{
	struct run run = { 0 };
	struct etcdlock_config *config = etcdlock_config_new();
	struct etcdlock_client *client;
	char why[512] = "no memory";
	long count;

	if (argc != 5 || config == NULL)
		return 64;
	count = atol(argv[3]);
	run.rounds = atol(argv[4]);
	run.base = event_base_new();
	if (etcdlock_config_set(config, "endpoints", argv[1], why, sizeof(why)) == -1 ||
	    etcdlock_config_set(config, "key", argv[2], why, sizeof(why)) == -1 ||
	    etcdlock_config_set(config, "ttl", "600", why, sizeof(why)) == -1 ||
	    etcdlock_config_set(config, "connect-timeout", "1h", why, sizeof(why)) == -1)
		return 1;
	client = etcdlock_client_new(run.base, config, NULL, NULL, why, sizeof(why));
	for (long i = 0; client != NULL && i < count; i++) {
		struct etcdlock *lock = etcdlock_new(client, config, on_event, &run);

		if (lock == NULL || etcdlock_lock(lock) == -1)
			return 1;
	}
	if (client == NULL) {
		fprintf(stderr, "contenders: %s\n", why);
		return 1;
	}
	event_add(event_new(run.base, STDIN_FILENO, EV_READ, on_go, &run), NULL);
	event_base_dispatch(run.base);
	/* What is left goes with its etcd. */
	fflush(stdout);
	_exit(0);
}
