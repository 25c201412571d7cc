#include "fake_loop.h"

#include <stdlib.h>

#define TIMERS 256

struct loop {
	struct timer *timers[TIMERS];
	size_t timer_count;
	struct tasks tasks;
	struct loop_event *events;
	bool stopped;
};

struct loop_event {
	int fd;
	loop_event_fn callback;
	void *arg;
	bool active;
	struct loop_event *next;
};

struct loop fake_loop = { .tasks = TAILQ_HEAD_INITIALIZER(fake_loop.tasks) };

/* Far from 0, which means "never was". */
static nsec now = 1000000 * NSEC_PER_SEC;

nsec
clock_now(void)
{
	return now;
}

struct moment
clock_moment(void)
{
	return (struct moment){ .boot = now, .raw = now };
}

/* The earliest timer that is due by LIMIT; NULL: none is. */
static struct timer *
take_due(nsec limit)
{
	struct timer *earliest = NULL;

	for (size_t i = 0; i < fake_loop.timer_count; i++)
		if (earliest == NULL || fake_loop.timers[i]->at < earliest->at)
			earliest = fake_loop.timers[i];
	if (earliest == NULL || earliest->at > limit)
		return NULL;
	timer_disarm(&fake_loop, earliest);
	return earliest;
}

static bool
run_event(void)
{
	for (struct loop_event *event = fake_loop.events; event != NULL; event = event->next) {
		if (!event->active)
			continue;
		event->active = false;
		event->callback(event->fd, EV_READ, event->arg);
		return true;
	}
	return false;
}

static void
run_until(nsec limit)
{
	struct timer *timer;

	do {
		tasks_run(&fake_loop.tasks);
		while ((timer = take_due(limit)) != NULL) {
			if (timer->at > now)
				now = timer->at;
			timer->fire(timer->arg);
			tasks_run(&fake_loop.tasks);
		}
	} while (run_event());
}

void
fake_loop_run(void)
{
	run_until(now);
}

void
fake_loop_advance(nsec span)
{
	nsec limit = now + span;

	run_until(limit);
	now = limit;
}

void
fake_loop_ready(int fd)
{
	for (struct loop_event *event = fake_loop.events; event != NULL; event = event->next)
		event->active = event->active || event->fd == fd;
	fake_loop_run();
}

void
fake_loop_ready_all(void)
{
	for (struct loop_event *event = fake_loop.events; event != NULL; event = event->next)
		event->active = true;
	fake_loop_run();
}

void (*fake_loop_step)(int step);

void
loop_run(struct loop *loop)
{
	loop->stopped = false;
	fake_loop_run();
	for (int step = 0; !loop->stopped; step++) {
		fake_loop_step(step);
		fake_loop_run();
	}
}

void
loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

struct event_base *
loop_base(struct loop *loop)
{
	(void)loop;
	return NULL;
}

size_t
fake_loop_timers(void)
{
	return fake_loop.timer_count;
}

struct loop *
loop_new(struct event_base *base, const char **what)
{
	(void)base;
	(void)what;
	return &fake_loop;
}

void
loop_free(struct loop *loop)
{
	(void)loop;
}

bool
loop_is_ours(const struct loop *loop)
{
	(void)loop;
	return true;
}

struct loop_event *
loop_event(struct loop *loop, int fd, short what, enum loop_priority priority, loop_event_fn callback, void *arg)
{
	struct loop_event *event = calloc(1, sizeof(*event));

	(void)what;
	(void)priority;
	if (event == NULL)
		abort();
	*event = (struct loop_event){ .fd = fd, .callback = callback, .arg = arg, .next = loop->events };
	loop->events = event;
	return event;
}

struct loop_event *
loop_watch(struct loop *loop, int fd, short what, enum loop_priority priority, loop_event_fn callback, void *arg)
{
	return loop_event(loop, fd, what, priority, callback, arg);
}

short
loop_event_what(const struct loop_event *event)
{
	(void)event;
	return EV_READ;
}

int
loop_event_add(struct loop_event *event)
{
	(void)event;
	return 0;
}

void
loop_event_del(struct loop_event *event)
{
	event->active = false;
}

void
loop_event_activate(struct loop_event *event)
{
	event->active = true;
}

void
loop_event_free(struct loop_event *event)
{
	struct loop_event **at = &fake_loop.events;

	if (event == NULL)
		return;
	while (*at != event)
		at = &(*at)->next;
	*at = event->next;
	free(event);
}

void
task_post(struct loop *loop, struct task *task)
{
	tasks_add(&loop->tasks, task);
}

void
task_cancel(struct loop *loop, struct task *task)
{
	tasks_remove(&loop->tasks, task);
}

void
timer_init(struct timer *timer, void (*fire)(void *arg), void *arg)
{
	*timer = (struct timer){ .fire = fire, .arg = arg, .prev = timer };
}

void
timer_disarm(struct loop *loop, struct timer *timer)
{
	for (size_t i = 0; i < loop->timer_count; i++) {
		if (loop->timers[i] != timer)
			continue;
		loop->timers[i] = loop->timers[--loop->timer_count];
		break;
	}
	timer->prev = timer;
}

void
timer_arm(struct loop *loop, struct timer *timer, nsec at)
{
	timer_disarm(loop, timer);
	if (at == NSEC_NEVER)
		return;
	if (loop->timer_count == TIMERS)
		abort();
	timer->at = at;
	timer->prev = NULL;
	loop->timers[loop->timer_count++] = timer;
}

bool
timer_armed(const struct timer *timer)
{
	return timer->prev != timer;
}
