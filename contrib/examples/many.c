/* Many locks in one process, on one base and one client: how much memory and CPU time one of them takes.
 *
 *	cc many.c $(pkg-config --cflags --libs libetcdlock) -o many
 *	./many [LOCKS [SECONDS]]
 */
#include <etcdlock.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#define SLICES 1200

struct many {
	struct event_base *base;
	struct event *enough;
	long locks, held, released, renewed;
	long slices[SLICES]; /* renewals in each half second */
	struct timeval began;
	double first_kb;
	int status;
};

/* Private dirty memory of this process in kB (proc(5), smaps_rollup). */
static double
dirty_kb(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	double kb = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "Private_Dirty:", 14) == 0)
			kb += atof(line + 14);
	if (file != NULL)
		fclose(file);
	return kb;
}

static double
cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void
count_slice(struct many *many)
{
	struct timeval now, since;
	long slice;

	event_base_gettimeofday_cached(many->base, &now);
	timersub(&now, &many->began, &since);
	slice = since.tv_sec * 2 + since.tv_usec / 500000;
	if (many->began.tv_sec != 0 && slice < SLICES)
		many->slices[slice]++;
}

static void
on_event(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	struct many *many = arg;

	switch (event) {
	case ETCDLOCK_ACQUIRED:
		if (++many->held == 1)
			many->first_kb = dirty_kb();
		break;
	case ETCDLOCK_RENEWED:
		many->renewed++;
		count_slice(many);
		break;
	case ETCDLOCK_RELEASED:
		if (++many->released == many->locks)
			event_base_loopbreak(many->base);
		break;
	case ETCDLOCK_REFUSED:
	case ETCDLOCK_DROPPED:
		fprintf(stderr, "%s: %s\n", etcdlock_key(lock), etcdlock_error(lock));
		many->status = 1;
		event_base_loopbreak(many->base);
		break;
	default:
		break;
	}
}

static void
on_enough(evutil_socket_t fd, short what, void *arg)
{
	struct many *many = arg;

	(void)fd;
	(void)what;
	event_base_loopbreak(many->base);
}

static struct etcdlock *
new_lock(struct etcdlock_client *client, struct etcdlock_config *config, long number, struct many *many)
{
	char key[64], why[256];
	struct etcdlock *lock = NULL;

	snprintf(key, sizeof(key), "/example/many/%ld", number);
	if (etcdlock_config_set(config, "key", key, why, sizeof(why)) == 0)
		lock = etcdlock_new(client, config, on_event, many);
	if (lock == NULL || etcdlock_lock(lock) == -1) {
		perror(key);
		exit(1);
	}
	return lock;
}

/* Runs the base until all locks are held, at most 60 s. */
static void
await_all(struct many *many, long count)
{
	const struct timeval limit = { .tv_sec = 60 };

	event_add(many->enough, &limit);
	while (many->held < count && many->status == 0 && event_pending(many->enough, EV_TIMEOUT, NULL))
		event_base_loop(many->base, EVLOOP_ONCE);
	event_del(many->enough);
}

int
main(int argc, char *argv[])
{
	struct many many = { .base = event_base_new(), .locks = argc > 1 ? atol(argv[1]) : 1000 };
	struct timeval watch = { .tv_sec = argc > 2 ? atol(argv[2]) : 10 };
	char why[256] = "no memory";
	struct etcdlock_config *config = etcdlock_config_new();
	struct etcdlock_client *client = NULL;
	struct etcdlock **locks = calloc((size_t)many.locks, sizeof(struct etcdlock *));
	double before;
	long renewed, busiest = 0;

	many.enough = evtimer_new(many.base, on_enough, &many);
	if (config != NULL && locks != NULL && etcdlock_config_from_env(config, why, sizeof(why)) == 0)
		client = etcdlock_client_new(many.base, config, NULL, NULL, why, sizeof(why));
	if (client == NULL) {
		fprintf(stderr, "%s\n", why);
		free(locks);
		return 1;
	}
	for (long i = 0; i < many.locks; i++) {
		locks[i] = new_lock(client, config, i, &many);
		if (i == 0)
			await_all(&many, 1);
	}
	await_all(&many, many.locks);
	printf("%ld of %ld held\n", many.held, many.locks);
	before = cpu_ms();
	renewed = many.renewed;
	gettimeofday(&many.began, NULL);
	event_add(many.enough, &watch);
	event_base_dispatch(many.base);
	if (many.status == 0 && many.locks > 1)
		printf("%.1f kB private dirty for each lock beyond the first\n",
		    (dirty_kb() - many.first_kb) / (double)(many.locks - 1));
	if (many.renewed > renewed)
		printf("%ld renewals in %ld s, %.2f ms of CPU time each\n", many.renewed - renewed, (long)watch.tv_sec,
		    (cpu_ms() - before) / (double)(many.renewed - renewed));
	for (int i = 0; i < SLICES; i++)
		if (many.slices[i] > busiest)
			busiest = many.slices[i];
	printf("busiest half second: %ld renewals, mean %.1f\n", busiest,
	    (double)(many.renewed - renewed) / (double)watch.tv_sec / 2);
	for (long i = 0; i < many.locks && many.status == 0; i++)
		etcdlock_unlock(locks[i]);
	if (many.status == 0)
		event_base_dispatch(many.base);
	printf("%ld released\n", many.released);
	for (long i = 0; i < many.locks; i++)
		etcdlock_free(locks[i]);
	free(locks);
	etcdlock_client_free(client);
	etcdlock_config_free(config);
	event_free(many.enough);
	event_base_free(many.base);
	return many.status != 0 || many.held != many.locks;
}
