#include "base/loop.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct loop {
	struct event_base *base;
	bool owns_base;
	pid_t owner; /* the process that made it: a forked child has the same timerfd */
	int timer_fd;
	struct loop_event *timer_event;
	struct loop_event *tasks_event; /* for what is posted while no callback of ours is on the stack */
	struct timer *earliest;         /* root of the pairing heap */
	nsec programmed;                /* what the timerfd is set to; NSEC_NEVER: not set */
	struct tasks tasks;
	bool *freed; /* while a callback is on the stack: set when it frees the loop; else NULL */
};

struct loop_event {
	struct loop *loop;
	struct event *event;
	loop_event_fn callback;
	void *arg;
};

/* --- tasks --- */

/* Everything that libevent calls comes through here. */
static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct loop_event event = *(struct loop_event *)arg; /* the callback may free it */
	bool freed = false, outermost = event.loop->freed == NULL;

	if (outermost)
		event.loop->freed = &freed;
	event.callback(fd, what, event.arg);
	if (!outermost || freed)
		return;
	tasks_run(&event.loop->tasks);
	event.loop->freed = NULL;
}

/* Tasks run behind every callback, so behind this one. */
static void
on_posted(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void
task_post(struct loop *loop, struct task *task)
{
	if (task->posted)
		return;
	tasks_add(&loop->tasks, task);
	if (loop->freed == NULL)
		loop_event_activate(loop->tasks_event);
}

void
task_cancel(struct loop *loop, struct task *task)
{
	tasks_remove(&loop->tasks, task);
}

/* --- timers --- */

/* Joins two heaps, each a root without siblings. Either may be NULL. */
static struct timer *
heap_meld(struct timer *a, struct timer *b)
{
	struct timer *loser;

	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	if (b->at < a->at) {
		loser = a;
		a = b;
	} else {
		loser = b;
	}
	loser->next = a->child;
	if (loser->next != NULL)
		loser->next->prev = loser;
	loser->prev = a;
	a->child = loser;
	return a;
}

/* Joins a list of siblings into one heap: pairs from the left, then all of them from the right. */
static struct timer *
heap_meld_siblings(struct timer *first)
{
	struct timer *pairs = NULL, *root = NULL;

	while (first != NULL) {
		struct timer *a = first, *b = first->next;

		first = b == NULL ? NULL : b->next;
		a->next = NULL;
		if (b != NULL)
			b->next = NULL;
		a = heap_meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs != NULL) {
		struct timer *next = pairs->next;

		pairs->next = NULL;
		root = heap_meld(root, pairs);
		pairs = next;
	}
	return root;
}

static struct timer *
heap_remove(struct timer *root, struct timer *timer)
{
	struct timer *rest = heap_meld_siblings(timer->child);

	if (timer == root) {
		root = rest;
	} else {
		if (timer->prev->child == timer)
			timer->prev->child = timer->next;
		else
			timer->prev->next = timer->next;
		if (timer->next != NULL)
			timer->next->prev = timer->prev;
		root = heap_meld(root, rest);
	}
	timer->child = timer->next = NULL;
	timer->prev = timer;
	if (root != NULL)
		root->prev = NULL;
	return root;
}

bool
loop_is_ours(const struct loop *loop)
{
	return loop->owner == getpid();
}

/* Sets the timerfd to the earliest timer, if it is not set so already. */
static void
loop_program(struct loop *loop)
{
	nsec at = loop->earliest == NULL ? NSEC_NEVER : loop->earliest->at;
	struct itimerspec spec = { 0 };

	/* What a child that was forked sets, it sets for its parent. */
	if (at == loop->programmed || !loop_is_ours(loop))
		return;
	loop->programmed = at;
	if (at != NSEC_NEVER) {
		/* All zeros would disarm; a point in the past fires at once. */
		nsec when = at > 0 ? at : 1;

		spec.it_value.tv_sec = (time_t)(when / NSEC_PER_SEC);
		spec.it_value.tv_nsec = (long)(when % NSEC_PER_SEC);
	}
	if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == -1)
		abort(); /* only invalid arguments fail, and without timers no lock is safe */
}

/* What was posted comes first, and can change which timer is due. */
static void
loop_fire(struct loop *loop)
{
	loop->programmed = NSEC_NEVER;
	for (;;) {
		struct timer *timer;

		tasks_run(&loop->tasks);
		timer = loop->earliest;
		if (timer == NULL || timer->at > clock_now())
			break;
		loop->earliest = heap_remove(loop->earliest, timer);
		timer->fire(timer->arg);
	}
	loop_program(loop);
}

static void
on_timer_fd(int fd, short what, void *arg)
{
	uint64_t expirations;

	(void)what;
	if (read(fd, &expirations, sizeof(expirations)) == -1 && errno != EAGAIN)
		abort();
	loop_fire(arg);
}

static struct event_base *
new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	/* What a signal or a deadline brings must not wait for a long list of sockets. */
	if (event_config_set_max_dispatch_interval(config, NULL, 8, 1) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	if (base != NULL && event_base_priority_init(base, PRIORITY_LAST) == -1) {
		event_base_free(base);
		base = NULL;
	}
	return base;
}

struct loop *
loop_new(struct event_base *base, const char **what)
{
	const char *failed = "calloc";
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL) {
		if (what != NULL)
			*what = failed;
		return NULL;
	}
	loop->programmed = NSEC_NEVER;
	TAILQ_INIT(&loop->tasks);
	loop->owns_base = base == NULL;
	loop->owner = getpid();
	loop->timer_fd = -1;
	loop->base = base == NULL ? new_base() : base;
	failed = "event_base_new";
	if (loop->base == NULL)
		goto fail;
	failed = "timerfd_create";
	loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer_fd == -1)
		goto fail;
	failed = "event_new";
	loop->tasks_event = loop_event(loop, -1, 0, PRIORITY_DEADLINE, on_posted, NULL);
	if (loop->tasks_event == NULL)
		goto fail;
	failed = "event_add";
	loop->timer_event = loop_watch(loop, loop->timer_fd, EV_READ, PRIORITY_DEADLINE, on_timer_fd, loop);
	if (loop->timer_event == NULL)
		goto fail;
	return loop;

fail:
	loop_free(loop);
	if (what != NULL)
		*what = failed;
	return NULL;
}

void
loop_free(struct loop *loop)
{
	int saved = errno;

	if (loop == NULL)
		return;
	if (loop->freed != NULL)
		*loop->freed = true;
	/* In a child that was forked this would take it out of its parent's epoll(7). */
	if (loop->timer_event != NULL && loop_is_ours(loop))
		loop_event_free(loop->timer_event);
	loop_event_free(loop->tasks_event);
	if (loop->timer_fd != -1)
		close(loop->timer_fd);
	if (loop->owns_base && loop->base != NULL)
		event_base_free(loop->base);
	free(loop);
	errno = saved;
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

void
loop_run(struct loop *loop)
{
	event_base_dispatch(loop->base);
}

void
loop_stop(struct loop *loop)
{
	event_base_loopbreak(loop->base);
}

/* --- events --- */

struct loop_event *
loop_event(struct loop *loop, int fd, short what, enum loop_priority priority, loop_event_fn callback, void *arg)
{
	struct loop_event *event = malloc(sizeof(*event));
	int count = event_base_get_npriorities(loop->base);

	if (event == NULL)
		return NULL;
	*event = (struct loop_event){ .loop = loop, .callback = callback, .arg = arg };
	event->event = event_new(loop->base, fd, (short)(what | EV_PERSIST), on_event, event);
	if (event->event == NULL) {
		free(event);
		return NULL;
	}
	/* A caller's base might have fewer priorities than ours, one at the least. */
	event_priority_set(event->event, (int)priority < count ? (int)priority : count - 1);
	return event;
}

struct loop_event *
loop_watch(struct loop *loop, int fd, short what, enum loop_priority priority, loop_event_fn callback, void *arg)
{
	struct loop_event *event = loop_event(loop, fd, what, priority, callback, arg);

	if (event != NULL && loop_event_add(event) == -1) {
		loop_event_free(event);
		event = NULL;
	}
	return event;
}

short
loop_event_what(const struct loop_event *event)
{
	return (short)(event_get_events(event->event) & ~EV_PERSIST);
}

int
loop_event_add(struct loop_event *event)
{
	return event_add(event->event, NULL);
}

void
loop_event_del(struct loop_event *event)
{
	event_del(event->event);
}

void
loop_event_activate(struct loop_event *event)
{
	event_active(event->event, EV_READ, 0);
}

void
loop_event_free(struct loop_event *event)
{
	if (event == NULL)
		return;
	event_free(event->event);
	free(event);
}

void
timer_init(struct timer *timer, void (*fire)(void *arg), void *arg)
{
	*timer = (struct timer){ .fire = fire, .arg = arg, .prev = timer };
}

void
timer_arm(struct loop *loop, struct timer *timer, nsec at)
{
	if (timer_armed(timer))
		loop->earliest = heap_remove(loop->earliest, timer);
	if (at != NSEC_NEVER) {
		timer->at = at;
		timer->prev = NULL;
		loop->earliest = heap_meld(loop->earliest, timer);
		loop->earliest->prev = NULL;
	}
	loop_program(loop);
}

void
timer_disarm(struct loop *loop, struct timer *timer)
{
	timer_arm(loop, timer, NSEC_NEVER);
}

bool
timer_armed(const struct timer *timer)
{
	return timer->prev != timer;
}
