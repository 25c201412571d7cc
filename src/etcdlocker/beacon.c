#include "etcdlocker/beacon.h"

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
beacon_open(struct beacon_link *link, size_t key_len)
{
	link->size = sizeof(*link->shared) + key_len + OWNER_SUFFIX;
	link->shared = mmap(NULL, link->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (link->shared == MAP_FAILED)
		return -1;
	link->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (link->timer_fd == -1)
		return -1;
	return pipe2(link->lifeline, O_CLOEXEC | O_NONBLOCK);
}

int
beacon_attach(struct beacon_link *link)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };

	close(link->lifeline[1]);
	return timer_create(CLOCK_BOOTTIME, &event, &link->last_resort);
}

static struct itimerspec
once_at(nsec at)
{
	return (struct itimerspec){ .it_value = { .tv_sec = at / NSEC_PER_SEC, .tv_nsec = at % NSEC_PER_SEC } };
}

void
beacon_set(struct beacon_link *link, nsec kill_by)
{
	nsec act_at = kill_by == 0 ? 0 : kill_by + SENTINEL_LAG;
	struct itimerspec spec = once_at(act_at), last = once_at(kill_by == 0 ? 0 : act_at + LAST_RESORT_LAG);

	/* The memory first: the sentinel looks there when the timer goes off. */
	atomic_store(&link->shared->kill_by, act_at);
	if (kill_by != 0)
		atomic_store(&link->shared->held, true);
	/* Cannot fail with these arguments; if it did, the sentinel would act too early, never too late. */
	(void)timerfd_settime(link->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
	(void)timer_settime(link->last_resort, TIMER_ABSTIME, &last, NULL);
}

void
beacon_set_key(struct beacon_link *link, const char *owner_key, int64_t create_revision)
{
	size_t room = link->size - sizeof(*link->shared);

	/* The revision makes it valid: away before the key changes, back after. */
	atomic_store(&link->shared->create_revision, 0);
	if (create_revision == 0 || owner_key == NULL || strlen(owner_key) >= room)
		return;
	strcpy(link->shared->owner_key, owner_key);
	atomic_store(&link->shared->create_revision, create_revision);
}
