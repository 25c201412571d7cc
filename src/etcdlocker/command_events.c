#include "etcdlocker/command_events.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
command_events_init(struct command_events *events, struct loop *loop, void (*run)(void *arg), void *arg)
{
	events->loop = loop;
	events->count = 0;
	task_init(&events->task, run, arg);
}

void
command_events_clear(struct command_events *events)
{
	if (events->loop != NULL)
		task_cancel(events->loop, &events->task);
	events->count = 0;
}

/* A place for an event of that kind; NULL: there is one. */
static struct command_event *
add(struct command_events *events, enum command_what what)
{
	struct command_event *event;

	for (size_t i = 0; i < events->count; i++)
		if (events->queue[i].what == what)
			return NULL;
	event = &events->queue[events->count++];
	event->what = what;
	event->status = event->typed = 0;
	event->text[0] = '\0';
	task_post(events->loop, &events->task);
	return event;
}

void
command_events_post(struct command_events *events, enum command_what what, const char *format, ...)
{
	struct command_event *event = add(events, what);
	va_list arguments;

	if (event == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(event->text, sizeof(event->text), format, arguments);
	va_end(arguments);
}

void
command_events_post_fact(struct command_events *events, enum command_what what, int status, int typed)
{
	struct command_event *event = add(events, what);

	if (event == NULL)
		return;
	event->status = status;
	event->typed = typed;
}

bool
command_events_next(struct command_events *events, struct command_event *event)
{
	if (events->count == 0)
		return false;
	*event = events->queue[0];
	events->count--;
	memmove(events->queue, events->queue + 1, events->count * sizeof(events->queue[0]));
	return true;
}
