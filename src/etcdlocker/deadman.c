#include "etcdlocker/deadman.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Behind the key in its own name: '/' and a lease in hex. */
#define OWNER_SUFFIX 32

/* The supervisor comes first, if it can: a quarter of the smallest margin. */
#define SENTINEL_LAG (50 * NSEC_PER_MSEC)

/* Then the sentinel. */
#define LAST_RESORT_LAG (50 * NSEC_PER_MSEC)

int
deadman_open(struct deadman *deadman, size_t key_len)
{
	deadman->size = sizeof(*deadman->shared) + key_len + OWNER_SUFFIX;
	deadman->shared = mmap(NULL, deadman->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (deadman->shared == MAP_FAILED)
		return -1;
	deadman->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (deadman->timer_fd == -1)
		return -1;
	return pipe2(deadman->lifeline, O_CLOEXEC | O_NONBLOCK);
}

int
deadman_attach(struct deadman *deadman)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };

	close(deadman->lifeline[1]);
	return timer_create(CLOCK_BOOTTIME, &event, &deadman->last_resort);
}

static struct itimerspec
once_at(nsec at)
{
	return (struct itimerspec){ .it_value = {
					.tv_sec = (time_t)(at / NSEC_PER_SEC), .tv_nsec = (long)(at % NSEC_PER_SEC) } };
}

/* How far away KILL_BY is, the shared deadline, which is not 0. */
static nsec
left(const struct deadman_page *shared, nsec kill_by)
{
	struct moment now = clock_moment();
	nsec boot = kill_by - now.boot, raw = atomic_load(&shared->kill_by_raw) - now.raw;

	return boot < raw ? boot : raw;
}

/* Sets the sentinel's timer to when it is to look. Both sides do: so the second one looks whether it is still
 * right. */
static void
program(const struct deadman *deadman)
{
	struct itimerspec spec;
	nsec kill_by;

	do {
		kill_by = atomic_load(&deadman->shared->kill_by);
		spec = once_at(kill_by == 0 ? 0 : clock_check_at(left(deadman->shared, kill_by)));
		/* Cannot fail with these arguments; if it did, the sentinel would act too early, never too late. */
		(void)timerfd_settime(deadman->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
	} while (atomic_load(&deadman->shared->kill_by) != kill_by);
}

void
deadman_set(struct deadman *deadman, nsec kill_by)
{
	nsec act_at = kill_by == 0 ? 0 : kill_by + SENTINEL_LAG;
	struct itimerspec last = once_at(kill_by == 0 ? 0 : act_at + LAST_RESORT_LAG);
	struct moment now = clock_moment();

	/* The memory first: the sentinel looks there when the timer goes off. KILL_BY last, which makes it valid. */
	atomic_store(&deadman->shared->kill_by_raw, kill_by == 0 ? NSEC_NEVER : now.raw + (act_at - now.boot));
	atomic_store(&deadman->shared->kill_by, act_at);
	if (kill_by != 0)
		atomic_store(&deadman->shared->held, true);
	program(deadman);
	/* The kernel's own timer has CLOCK_BOOTTIME alone. */
	(void)timer_settime(deadman->last_resort, TIMER_ABSTIME, &last, NULL);
}

bool
deadman_overdue(const struct deadman *deadman)
{
	const nsec kill_by = atomic_load(&deadman->shared->kill_by);

	if (kill_by != 0 && left(deadman->shared, kill_by) <= 0)
		return true;
	program(deadman);
	return false;
}

bool
deadman_may_start(void *arg, int number)
{
	const struct deadman_page *shared = ((const struct deadman *)arg)->shared;
	const nsec kill_by = atomic_load(&shared->kill_by);

	return atomic_load(&shared->wanted) == number && kill_by != 0 && left(shared, kill_by) > 0;
}

void
deadman_set_key(struct deadman *deadman, const char *owner_key, int64_t create_revision)
{
	size_t room = deadman->size - sizeof(*deadman->shared);

	/* The revision makes it valid: away before the key changes, back after. */
	atomic_store(&deadman->shared->create_revision, 0);
	if (create_revision == 0 || owner_key == NULL || strlen(owner_key) >= room)
		return;
	strcpy(deadman->shared->owner_key, owner_key);
	atomic_store(&deadman->shared->create_revision, create_revision);
}
