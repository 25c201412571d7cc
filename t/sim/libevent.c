/* What base/loop.c needs of libevent, over simulated processes. Of the events that are ready at a time, those of the
 * highest priority are taken, and of these any: an order that libevent promises there is not. */
#include "kernel.h"
#include "proc.h"

#include <event2/event.h>
#include <stdlib.h>

struct event {
	struct event_base *base;
	int fd;
	short what;
	int priority;
	bool added, active;
	event_callback_fn callback;
	void *arg;
	TAILQ_ENTRY(event) link;
};

struct event_base {
	TAILQ_HEAD(, event) events;
	struct proc *proc;
	int priorities;
	bool stopped;
};

struct event_config {
	int nothing;
};

struct event_config *
event_config_new(void)
{
	return calloc(1, sizeof(struct event_config));
}

void
event_config_free(struct event_config *config)
{
	free(config);
}

int
event_config_set_max_dispatch_interval(
    struct event_config *config, const struct timeval *interval, int callbacks, int least)
{
	(void)config;
	(void)interval;
	(void)callbacks;
	(void)least;
	return 0;
}

struct event_base *
event_base_new_with_config(const struct event_config *config)
{
	struct event_base *base = calloc(1, sizeof(*base));

	(void)config;
	if (base == NULL)
		return NULL;
	TAILQ_INIT(&base->events);
	base->proc = current;
	base->priorities = 1;
	return base;
}

int
event_base_priority_init(struct event_base *base, int count)
{
	base->priorities = count;
	return 0;
}

int
event_base_get_npriorities(struct event_base *base)
{
	return base->priorities;
}

void
event_base_free(struct event_base *base)
{
	if (!TAILQ_EMPTY(&base->events))
		broken("a loop is freed while it has events");
	free(base);
}

struct event *
event_new(struct event_base *base, evutil_socket_t fd, short what, event_callback_fn callback, void *arg)
{
	struct event *event = calloc(1, sizeof(*event));

	if (event == NULL)
		return NULL;
	*event = (struct event){ .base = base, .fd = fd, .what = what, .callback = callback, .arg = arg };
	TAILQ_INSERT_TAIL(&base->events, event, link);
	return event;
}

void
event_free(struct event *event)
{
	TAILQ_REMOVE(&event->base->events, event, link);
	free(event);
}

int
event_priority_set(struct event *event, int priority)
{
	event->priority = priority;
	return 0;
}

short
event_get_events(const struct event *event)
{
	return event->what;
}

int
event_add(struct event *event, const struct timeval *timeout)
{
	(void)timeout;
	event->added = true;
	return 0;
}

int
event_del(struct event *event)
{
	event->added = event->active = false;
	return 0;
}

void
event_active(struct event *event, int what, short calls)
{
	(void)what;
	(void)calls;
	event->active = true;
	if (event->base->proc->waits)
		proc_wake(event->base->proc, some_span(2000, 4 * NSEC_PER_MSEC));
}

static bool
is_ready(const struct event *event)
{
	return event->active || (event->added && kernel_readable(event->fd));
}

static struct event *
choose(struct event_base *base)
{
	struct event *event, *chosen = NULL;
	uint64_t count = 0;

	TAILQ_FOREACH(event, &base->events, link)
	{
		if (!is_ready(event) || (chosen != NULL && event->priority > chosen->priority))
			continue;
		count = chosen == NULL || event->priority < chosen->priority ? 1 : count + 1;
		if (one_in(count))
			chosen = event;
	}
	return chosen;
}

int
event_base_dispatch(struct event_base *base)
{
	base->stopped = false;
	while (!base->stopped) {
		struct event *event = choose(base);

		if (event == NULL) {
			(void)proc_sleep(NSEC_NEVER);
			continue;
		}
		event->active = false;
		event->callback(event->fd, EV_READ, event->arg);
		proc_interrupt();
	}
	return 0;
}

int
event_base_loopbreak(struct event_base *base)
{
	base->stopped = true;
	return 0;
}
