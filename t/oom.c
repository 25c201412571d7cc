/* Every allocation made to fail, one after the other, in a cycle of lock, transaction and unlock against a real etcd:
 *our own, libcurl's, jansson's and libevent's. Whatever fails: no crash, no hang, no leak, and an error or a lock.
 *
 *	oom ENDPOINT KEY one|all STEP [v2]
 *
 * "one": only that allocation fails, every STEPth in turn; "all": every one from there on until the lock is given up.
 *Our own calls are caught by the linker (--wrap), those of the libraries through their hooks. Each cycle is a process
 *of its own, several at a time. Prints how many there were, and how they ended. */
#include "lock/etcdlock.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A cycle that takes longer hangs. The lock's own limits are shorter. */
#define CYCLE_LIMIT_S 20

#define JOBS 8

/* The exit code of a cycle, plus how it ended: no sanitizer uses such codes. */
#define STATUS 40

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
int __real_vasprintf(char **text, const char *format, va_list arguments);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **text, const char *format, va_list arguments);

/* How a cycle can end. */
enum end { END_GOOD, END_ERROR, END_SILENT, END_CURL, END_UNTOUCHED, END_CRASHED };
#define ENDS (END_CRASHED + 1)

static long allocations, fails_at, failed;
static const char *api = "v3";
static bool armed, all, curl_failed, refused_wrongly;

static bool
fails(void)
{
	if (!armed)
		return false;
	allocations++;
	if (allocations != fails_at && !(all && allocations > fails_at))
		return false;
	failed++;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *
__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

int
__wrap_vasprintf(char **text, const char *format, va_list arguments)
{
	return fails() ? -1 : __real_vasprintf(text, format, arguments);
}

/* libcurl's, so that its own fault can be told from ours: after a failed allocation in singlesocket() (lib/multi.c,
 * seen in 7.88) it goes on to use a hash table that it has destroyed, and divides by its size, 0. */
static void
on_sigfpe(int signo)
{
	(void)signo;
	_exit(STATUS + (curl_failed ? END_CURL : END_CRASHED));
}

static bool
curl_fails(void)
{
	bool now = fails();

	curl_failed = curl_failed || now;
	return now;
}

static void *
curl_malloc(size_t size)
{
	return curl_fails() ? NULL : __real_malloc(size);
}

static void *
curl_calloc(size_t count, size_t size)
{
	return curl_fails() ? NULL : __real_calloc(count, size);
}

static void *
curl_realloc(void *old, size_t size)
{
	return curl_fails() ? NULL : __real_realloc(old, size);
}

static char *
curl_strdup(const char *text)
{
	return curl_fails() ? NULL : __real_strdup(text);
}

/* --- one cycle --- */

struct cycle {
	struct event_base *base;
	enum end end;
	bool acquired;
};

static void
on_written(struct etcdlock *lock, enum etcdlock_txn_result result, int64_t revision, const char *error, void *arg)
{
	(void)revision;
	(void)error;
	(void)arg;
	/* What cannot be understood may have been done. */
	if (result == ETCDLOCK_TXN_REFUSED && strstr(error, "no etcd v3") != NULL)
		refused_wrongly = true;
	etcdlock_unlock(lock);
}

static void
on_event(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	struct cycle *cycle = arg;
	struct etcdlock_op op = { .key = etcdlock_key(lock), .value = "x", .len = 1 };

	switch (event) {
	case ETCDLOCK_ACQUIRED:
		cycle->acquired = true;
		if (etcdlock_txn(lock, &op, 1, on_written, NULL) == -1)
			etcdlock_unlock(lock);
		break;
	case ETCDLOCK_RELEASED:
		cycle->end = cycle->acquired && etcdlock_failure(lock) == ETCDLOCK_FAILURE_NONE ? END_GOOD : END_ERROR;
		event_base_loopbreak(cycle->base);
		break;
	case ETCDLOCK_REFUSED:
		cycle->end = etcdlock_error(lock)[0] != '\0' ? END_ERROR : END_SILENT;
		event_base_loopbreak(cycle->base);
		break;
	case ETCDLOCK_DROPPED:
		cycle->end = END_ERROR;
		etcdlock_unlock(lock);
		break;
	case ETCDLOCK_QUEUE:
	case ETCDLOCK_RENEWED:
	case ETCDLOCK_EXPIRING:
	case ETCDLOCK_STATE:
		break;
	}
}

static enum end
run_cycle(const char *endpoint, const char *key)
{
	struct cycle cycle = { .base = event_base_new(), .end = END_ERROR };
	char why[256] = "no memory";
	struct etcdlock_config *config;
	struct etcdlock_client *client = NULL;
	struct etcdlock *lock = NULL;

	armed = true;
	config = etcdlock_config_new();
	if (config != NULL && etcdlock_config_set(config, "key", key, why, sizeof(why)) == 0 &&
	    etcdlock_config_set(config, "ttl", "5", why, sizeof(why)) == 0 &&
	    etcdlock_config_set(config, "api", api, why, sizeof(why)) == 0 &&
	    etcdlock_config_set(config, "connect-timeout", all ? "300ms" : "2s", why, sizeof(why)) == 0 &&
	    etcdlock_config_set(config, "endpoints", endpoint, why, sizeof(why)) == 0)
		client = etcdlock_client_new(cycle.base, config, NULL, NULL, why, sizeof(why));
	if (client != NULL)
		lock = etcdlock_new(client, config, on_event, &cycle);
	if (lock != NULL && etcdlock_lock(lock) == 0) {
		cycle.end = END_SILENT;
		event_base_dispatch(cycle.base);
	}
	armed = false;
	etcdlock_free(lock);
	etcdlock_client_free(client);
	etcdlock_config_free(config);
	event_base_free(cycle.base);
	return cycle.end;
}

static void
catch_libraries(void)
{
	struct sigaction action = { .sa_handler = on_sigfpe };

	curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, free, curl_realloc, curl_strdup, curl_calloc);
	json_set_alloc_funcs(__wrap_malloc, free);
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
	sigaction(SIGFPE, &action, NULL);
}

/* One cycle in a process of its own. */
static pid_t
start_cycle(char *argv[], long number)
{
	char key[256];
	enum end end;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	alarm(CYCLE_LIMIT_S);
	fails_at = number;
	snprintf(key, sizeof(key), "%s/%ld", argv[2], number);
	catch_libraries();
	end = run_cycle(argv[1], key);
	if (refused_wrongly)
		end = END_CRASHED;
	if (end == END_SILENT)
		fprintf(stderr, "allocation %ld: no word of it\n", number);
	if (failed == 0 && end != END_GOOD)
		fprintf(stderr, "nothing failed, and yet there was no lock\n");
	curl_global_cleanup();
	exit(STATUS + (failed == 0 ? (end == END_GOOD ? END_UNTOUCHED : END_SILENT) : end));
}

static enum end
end_of(int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) - STATUS : -1;

	return code >= 0 && code < ENDS ? (enum end)code : END_CRASHED;
}

int
main(int argc, char *argv[])
{
	static const char *const names[ENDS] = { "locked and unlocked", "told of an error", "silent",
		"stopped by libcurl's own fault", "without a failure", "crashed or hung" };
	long ends[ENDS] = { 0 }, next = 1, running = 0;
	int status;

	if (argc < 5)
		return 64;
	if (argc > 5)
		api = argv[5];
	all = strcmp(argv[3], "all") == 0;
	/* As soon as one needs no more allocations than were let through, the others cannot need more by far. */
	while (ends[END_UNTOUCHED] == 0 || running > 0) {
		if (ends[END_UNTOUCHED] == 0 && running < JOBS && start_cycle(argv, next) > 0) {
			next += atol(argv[4]);
			running++;
			continue;
		}
		if (wait(&status) == -1)
			break;
		running--;
		ends[end_of(status)]++;
	}
	for (int i = 0; i < ENDS; i++)
		printf("%ld %s%s", ends[i], names[i], i < ENDS - 1 ? ", " : "\n");
	return ends[END_SILENT] > 0 || ends[END_CRASHED] > 0 || ends[END_ERROR] == 0;
}
