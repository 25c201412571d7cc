/* The library's promises that no example needs, against a real etcd: api ENDPOINT KEY [v2]. Says what is wrong, and
 * exits with 1.
 *
 * Uses the public header alone, and is linked with the shared library. */
#include "lock/etcdlock.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECONDS INT64_C(1000000000)

static struct event_base *base;
static struct etcdlock_client *client;
static struct etcdlock_config *config;
static unsigned seen; /* events since last awaited, a bit each */
static unsigned states;
static char why[256];
static bool in_call;

static void
check(bool good, int line, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "line %d: %s\n", line, what);
	exit(1);
}
#define CHECK(condition) check(condition, __LINE__, #condition)

static int64_t
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return time.tv_sec * SECONDS + time.tv_nsec;
}

static void
on_event(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	(void)arg;
	CHECK(!in_call);
	seen |= 1U << event;
	if (event == ETCDLOCK_STATE)
		states |= 1U << etcdlock_state(lock);
}

static void
await(enum etcdlock_event event)
{
	alarm(20);
	while ((seen & 1U << event) == 0)
		event_base_loop(base, EVLOOP_ONCE);
	seen &= ~(1U << event);
}

static struct etcdlock *
new_lock(const char *id)
{
	struct etcdlock *lock;

	CHECK(etcdlock_config_set(config, "id", id, why, sizeof(why)) == 0);
	lock = etcdlock_new(client, config, on_event, NULL);
	CHECK(lock != NULL);
	return lock;
}

static void
configuration(const char *key)
{
	config = etcdlock_config_new();
	CHECK(etcdlock_config_key(config) == NULL);
	CHECK(etcdlock_config_check(config, why, sizeof(why)) == -1 && strstr(why, "no key") != NULL);
	CHECK(etcdlock_config_set(config, "key", key, why, sizeof(why)) == 0);
	CHECK(etcdlock_config_set(config, "colour", "red", why, sizeof(why)) == -1 && errno == EINVAL);
	CHECK(strstr(why, "colour") != NULL);
	CHECK(etcdlock_config_set(config, "ttl", "soon", NULL, 0) == -1 && errno == EINVAL);
	/* Nothing comes from the environment unasked, and nothing of it beats what was set. */
	setenv("ETCD_LOCK_TTL", "7", 1);
	setenv("ETCD_LOCK_KEY", "/other", 1);
	CHECK(etcdlock_config_ms(config, "grace") == 8000);
	CHECK(etcdlock_config_from_env(config, why, sizeof(why)) == 0);
	CHECK(etcdlock_config_ms(config, "grace") < 3000);
	CHECK(strcmp(etcdlock_config_key(config), key) == 0);
	setenv("ETCD_LOCK_TTL", "0.5", 1);
	CHECK(etcdlock_config_from_env(config, why, sizeof(why)) == -1 && strstr(why, "ETCD_LOCK_TTL") != NULL);
	CHECK(etcdlock_config_set(config, "ttl", "10", why, sizeof(why)) == 0);
	CHECK(etcdlock_config_set(config, "grace", "9s", why, sizeof(why)) == 0);
	CHECK(etcdlock_config_check(config, why, sizeof(why)) == -1 && strstr(why, "too short") != NULL);
	CHECK(etcdlock_config_set(config, "grace", "1s", why, sizeof(why)) == 0);
}

static void
holding(void)
{
	struct etcdlock *lock = new_lock("holder");
	int64_t deadline;

	CHECK(etcdlock_unlock(lock) == -1 && errno == EINVAL);
	CHECK(etcdlock_deadline(lock) == 0 && etcdlock_owner_key(lock) == NULL);
	in_call = true;
	CHECK(etcdlock_lock(lock) == 0);
	in_call = false;
	await(ETCDLOCK_ACQUIRED);
	CHECK(etcdlock_state(lock) == ETCDLOCK_HELD && etcdlock_revision(lock) > 0 && etcdlock_ahead(lock) == 0);
	deadline = etcdlock_deadline(lock);
	CHECK(deadline > now() && deadline < now() + 10 * SECONDS);
	/* Again: refresh now. */
	CHECK(etcdlock_lock(lock) == 0);
	await(ETCDLOCK_RENEWED);
	CHECK(etcdlock_deadline(lock) > deadline);
	/* The spans, while held; while a renewal is under way, too. */
	CHECK(etcdlock_lock(lock) == 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK(etcdlock_set(lock, "ttl", "60", why, sizeof(why)) == 0);
	await(ETCDLOCK_RENEWED);
	/* That one asked for the old TTL still. */
	CHECK(etcdlock_deadline(lock) < now() + 10 * SECONDS);
	alarm(5);
	while (etcdlock_deadline(lock) < now() + 50 * SECONDS)
		event_base_loop(base, EVLOOP_ONCE);
	seen = 0;
	CHECK(etcdlock_set(lock, "key", "/x", why, sizeof(why)) == -1 && errno == EINVAL);
	CHECK(etcdlock_set(lock, "ttl", "1", why, sizeof(why)) == -1 && strstr(why, "too short") != NULL);
	CHECK(etcdlock_set(lock, "ttl", "300", why, sizeof(why)) == 0);
	await(ETCDLOCK_RENEWED);
	CHECK(etcdlock_deadline(lock) > now() + 260 * SECONDS);
	CHECK(etcdlock_set(lock, "refresh", "200ms", why, sizeof(why)) == 0);
	await(ETCDLOCK_RENEWED);
	seen = 0;
	await(ETCDLOCK_RENEWED);
	CHECK(etcdlock_unlock(lock) == 0);
	CHECK(etcdlock_unlock(lock) == -1 && errno == EINVAL);
	CHECK(etcdlock_lock(lock) == -1 && errno == EBUSY);
	await(ETCDLOCK_RELEASED);
	CHECK(etcdlock_failure(lock) == ETCDLOCK_FAILURE_NONE && etcdlock_state(lock) == ETCDLOCK_IDLE);
	CHECK((states & 1U << ETCDLOCK_HELD) != 0 && (states & 1U << ETCDLOCK_IDLE) != 0);
	etcdlock_free(lock);
}

static void
waiting(void)
{
	struct etcdlock *holder = new_lock("holder"), *waiter = new_lock("waiter");

	CHECK(etcdlock_lock(holder) == 0);
	await(ETCDLOCK_ACQUIRED);
	CHECK(etcdlock_lock(waiter) == 0);
	await(ETCDLOCK_QUEUE);
	CHECK(strcmp(etcdlock_holder(waiter), "holder") == 0 && etcdlock_ahead(waiter) == 1);
	/* Cancel. */
	CHECK(etcdlock_unlock(waiter) == 0);
	await(ETCDLOCK_RELEASED);
	/* A wait limit that is set while waiting. */
	CHECK(etcdlock_lock(waiter) == 0);
	await(ETCDLOCK_QUEUE);
	CHECK(etcdlock_set(waiter, "wait", "100ms", why, sizeof(why)) == 0);
	await(ETCDLOCK_REFUSED);
	CHECK(etcdlock_failure(waiter) == ETCDLOCK_FAILURE_CONFLICT && strstr(etcdlock_error(waiter), "holder"));
	etcdlock_free(waiter);
	CHECK(etcdlock_unlock(holder) == 0);
	await(ETCDLOCK_RELEASED);
	etcdlock_free(holder);
}

static enum etcdlock_txn_result results[3];
static size_t result_count;

static void
on_txn(struct etcdlock *lock, enum etcdlock_txn_result result, int64_t revision, const char *error, void *arg)
{
	(void)lock;
	(void)arg;
	CHECK(!in_call);
	CHECK((result == ETCDLOCK_TXN_DONE) == (revision > 0) && (result == ETCDLOCK_TXN_DONE) == (error[0] == '\0'));
	results[result_count++] = result;
}

static void
await_results(size_t count)
{
	alarm(20);
	while (result_count < count)
		event_base_loop(base, EVLOOP_ONCE);
}

static void
writing(void)
{
	struct etcdlock *lock = new_lock("writer");
	const struct etcdlock_op ops[] = { { .key = "/api/one", .value = "a\0b", .len = 3 }, { .key = "/api/two" } };
	const struct etcdlock_op empty = { .key = "" }, last = { .key = "/api/one" };

	CHECK(etcdlock_txn(lock, ops, 2, on_txn, NULL) == -1 && errno == ENOLCK);
	CHECK(etcdlock_lock(lock) == 0);
	await(ETCDLOCK_ACQUIRED);
	CHECK(etcdlock_txn(lock, ops, 0, on_txn, NULL) == -1 && errno == EINVAL);
	CHECK(etcdlock_txn(lock, NULL, 1, on_txn, NULL) == -1 && errno == EINVAL);
	CHECK(etcdlock_txn(lock, ops + 1, 1, NULL, NULL) == 0);
	in_call = true;
	CHECK(etcdlock_txn(lock, ops, 2, on_txn, NULL) == 0);
	CHECK(etcdlock_txn(lock, &empty, 1, on_txn, NULL) == 0);
	in_call = false;
	await_results(2);
	CHECK(results[0] == ETCDLOCK_TXN_DONE && results[1] == ETCDLOCK_TXN_REFUSED);
	/* One that comes after the release does nothing. */
	CHECK(etcdlock_unlock(lock) == 0);
	await(ETCDLOCK_RELEASED);
	CHECK(etcdlock_txn(lock, &last, 1, on_txn, NULL) == -1 && errno == ENOLCK);
	etcdlock_free(lock);
}

static int64_t last_written;
static size_t late_count;

static void
on_late(struct etcdlock *lock, enum etcdlock_txn_result result, int64_t revision, const char *error, void *arg)
{
	(void)lock;
	(void)error;
	(void)arg;
	CHECK(result == ETCDLOCK_TXN_DONE || result == ETCDLOCK_TXN_NOT_HELD);
	late_count++;
	if (result == ETCDLOCK_TXN_DONE)
		last_written = revision;
}

/* What is under way when the lock is given up is done before the next one has it, or not at all. */
static void
giving_up(void)
{
	struct etcdlock *lock = new_lock("first"), *next = new_lock("next");
	const struct etcdlock_op op = { .key = "/api/late", .value = "x", .len = 1 };
	const size_t writes = 30;

	CHECK(etcdlock_lock(lock) == 0);
	await(ETCDLOCK_ACQUIRED);
	CHECK(etcdlock_lock(next) == 0);
	await(ETCDLOCK_QUEUE);
	for (size_t i = 0; i < writes; i++)
		CHECK(etcdlock_txn(lock, &op, 1, on_late, NULL) == 0);
	CHECK(etcdlock_unlock(lock) == 0);
	alarm(20);
	while (etcdlock_state(next) != ETCDLOCK_HELD || late_count < writes)
		event_base_loop(base, EVLOOP_ONCE);
	CHECK(last_written < etcdlock_revision(next));
	seen = 0;
	CHECK(etcdlock_unlock(next) == 0);
	await(ETCDLOCK_RELEASED);
	etcdlock_free(next);
	etcdlock_free(lock);
}

struct doomed {
	struct etcdlock_client *client;
	struct etcdlock_query *query;
	bool gone;
};

static void
on_txn_free(struct etcdlock *lock, enum etcdlock_txn_result result, int64_t revision, const char *error, void *arg)
{
	struct doomed *doomed = arg;

	(void)result;
	(void)revision;
	(void)error;
	etcdlock_free(lock);
	etcdlock_client_free(doomed->client);
	doomed->gone = true;
}

static void
on_answer_free(void *arg, const struct etcdlock_contender *queue, size_t count, const char *error)
{
	struct doomed *doomed = arg;

	(void)queue;
	CHECK(!in_call && error == NULL && count == 0);
	etcdlock_query_free(doomed->query);
	etcdlock_client_free(doomed->client);
	doomed->gone = true;
}

/* Whoever frees everything from inside the other callbacks does no harm either. */
static void
freeing_all(void)
{
	const struct etcdlock_op op = { .key = "/api/one", .value = "x", .len = 1 };
	struct doomed doomed = { .client = etcdlock_client_new(base, config, NULL, NULL, why, sizeof(why)) };
	struct etcdlock *lock = etcdlock_new(doomed.client, config, on_event, NULL);

	CHECK(lock != NULL && etcdlock_lock(lock) == 0);
	await(ETCDLOCK_ACQUIRED);
	CHECK(etcdlock_txn(lock, &op, 1, on_txn_free, &doomed) == 0);
	alarm(20);
	while (!doomed.gone)
		event_base_loop(base, EVLOOP_ONCE);
	/* Its key is there until its lease ends: ask for another one. */
	CHECK(etcdlock_config_set(config, "key", "/api/free", why, sizeof(why)) == 0);
	doomed = (struct doomed){ .client = etcdlock_client_new(base, config, NULL, NULL, why, sizeof(why)) };
	doomed.query = etcdlock_query_new(doomed.client, config, on_answer_free, &doomed);
	CHECK(doomed.query != NULL);
	while (!doomed.gone)
		event_base_loop(base, EVLOOP_ONCE);
}

/* To change something else does not make a lock wait that was not to. */
static void
not_waiting(void)
{
	struct etcdlock *lock;

	CHECK(etcdlock_config_set(config, "wait", "0", why, sizeof(why)) == 0);
	lock = new_lock("hasty");
	CHECK(etcdlock_lock(lock) == 0 && etcdlock_set(lock, "ttl", "30", why, sizeof(why)) == 0);
	await(ETCDLOCK_ACQUIRED);
	seen = 0;
	CHECK(etcdlock_unlock(lock) == 0);
	await(ETCDLOCK_RELEASED);
	etcdlock_free(lock);
}

/* Work that outlives the lease: whoever unlocks then hears of the loss first. */
static void
unlocking_late(void)
{
	struct etcdlock *lock;

	CHECK(etcdlock_config_set(config, "ttl", "2", why, sizeof(why)) == 0);
	CHECK(etcdlock_config_set(config, "grace", "100ms", why, sizeof(why)) == 0);
	lock = new_lock("late");
	CHECK(etcdlock_lock(lock) == 0);
	await(ETCDLOCK_ACQUIRED);
	while (etcdlock_deadline(lock) > now())
		usleep(10000);
	CHECK(etcdlock_unlock(lock) == 0);
	await(ETCDLOCK_DROPPED);
	CHECK(strstr(etcdlock_error(lock), "could not be renewed in time") != NULL);
	await(ETCDLOCK_RELEASED);
	CHECK(etcdlock_error(lock)[0] != '\0');
	etcdlock_free(lock);
}

/* A child that was forked frees what it has, and its parent goes on. */
static void
forking(void)
{
	struct etcdlock *lock = new_lock("parent");
	int status = -1;
	pid_t pid;

	CHECK(etcdlock_lock(lock) == 0);
	await(ETCDLOCK_ACQUIRED);
	pid = fork();
	if (pid == 0) {
		etcdlock_free(lock);
		etcdlock_client_free(client);
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	seen = 0;
	await(ETCDLOCK_RENEWED);
	CHECK(etcdlock_unlock(lock) == 0);
	await(ETCDLOCK_RELEASED);
	etcdlock_free(lock);
}

/* Whoever frees a lock or its client from inside a callback does no harm. */
static void
on_event_free(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	if (event != ETCDLOCK_RELEASED)
		return;
	etcdlock_free(lock);
	*(bool *)arg = true;
}

static void
freeing(void)
{
	bool gone = false;
	struct etcdlock *lock = etcdlock_new(client, config, on_event_free, &gone);

	CHECK(lock != NULL && etcdlock_lock(lock) == 0 && etcdlock_unlock(lock) == 0);
	alarm(20);
	while (!gone)
		event_base_loop(base, EVLOOP_ONCE);
}

static void
unreachable(void)
{
	struct etcdlock *lock;
	struct etcdlock_client *nobody;

	CHECK(etcdlock_config_set(config, "endpoints", "127.0.0.1:1", why, sizeof(why)) == 0);
	CHECK(etcdlock_config_set(config, "connect-timeout", "200ms", why, sizeof(why)) == 0);
	nobody = etcdlock_client_new(base, config, NULL, NULL, why, sizeof(why));
	lock = etcdlock_new(nobody, config, on_event, NULL);
	CHECK(lock != NULL && etcdlock_lock(lock) == 0);
	await(ETCDLOCK_REFUSED);
	CHECK(etcdlock_failure(lock) == ETCDLOCK_FAILURE_UNREACHABLE && strstr(etcdlock_error(lock), "127.0.0.1:1"));
	etcdlock_free(lock);
	etcdlock_client_free(nobody);
}

int
main(int argc, char *argv[])
{
	CHECK(argc == 3 || argc == 4);
	base = event_base_new();
	configuration(argv[2]);
	CHECK(etcdlock_config_set(config, "endpoints", argv[1], why, sizeof(why)) == 0);
	CHECK(argc == 3 || etcdlock_config_set(config, "api", argv[3], why, sizeof(why)) == 0);
	client = etcdlock_client_new(base, config, NULL, NULL, why, sizeof(why));
	CHECK(client != NULL);
	holding();
	waiting();
	freeing();
	/* v2 has no transactions. */
	if (argc == 3) {
		writing();
		giving_up();
		freeing_all();
	}
	not_waiting();
	unlocking_late();
	forking();
	unreachable();
	etcdlock_client_free(client);
	etcdlock_config_free(config);
	event_base_free(base);
	puts("good");
	return 0;
}
