/* A libevent base, timers on CLOCK_BOOTTIME, and tasks.
 *
 * A task is work that is put off until nothing else is on the stack: tasks run at the end of every outermost callback
 * of the loop, in the order in which they were posted, until none is left. Before a timer fires they run as well, so
 * that a timer decides upon all that is known; a timer that a task has moved or disarmed does not fire. So code that
 * gets an answer notes what it says and posts a task; what follows from it is done there, and sent from there.
 *
 * libevent's own timers start from a cached time on CLOCK_MONOTONIC_COARSE and do not know suspend. The
 * timers here are absolute points on clock_now(), all driven by one timerfd a loop. They need no memory
 * of their own, so arming one cannot fail. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/clock.h"
#include "base/task.h"

#include <event2/event.h>
#include <stdbool.h>

/* What must not wait for anything else runs first; lower ones wait while higher ones have work. */
enum loop_priority { PRIORITY_DEADLINE, PRIORITY_IO, PRIORITY_REST, PRIORITY_LAST };

struct loop;
struct loop_event;

/* What FD is ready for, as event_new(3) has it. */
typedef void (*loop_event_fn)(int fd, short what, void *arg);

/* A one-shot timer, embedded in its owner. Set up with timer_init(); disarm it before its memory goes. */
struct timer {
	nsec at;
	void (*fire)(void *arg);
	void *arg;
	struct timer *child, *next, *prev; /* the pairing heap's links; prev == self: not armed */
};

/* A loop on the caller's BASE, which must outlive it, or on a base of its own where BASE is NULL. NULL
 * with errno set, and in *WHAT (may be NULL) the call that failed. */
struct loop *loop_new(struct event_base *base, const char **what);

/* Timers that are still armed will never fire. NULL is fine. */
void loop_free(struct loop *loop);

struct event_base *loop_base(struct loop *loop);

/* Run until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* False in a child that was forked from the process that made LOOP: there it must be freed only. */
bool loop_is_ours(const struct loop *loop);

/* A persistent event on FD (-1: none, for loop_event_activate()), not yet added, with the nearest priority that the
 * base has; free it with loop_event_free(). CALLBACK may free it, and the loop. NULL when memory is short. */
struct loop_event *
loop_event(struct loop *loop, int fd, short what, enum loop_priority priority, loop_event_fn callback, void *arg);

/* The same, added. NULL when memory is short. */
struct loop_event *
loop_watch(struct loop *loop, int fd, short what, enum loop_priority priority, loop_event_fn callback, void *arg);

/* What it was made for: EV_READ, EV_WRITE. */
short loop_event_what(const struct loop_event *event);

/* Returns 0, or -1 when memory is short. */
int loop_event_add(struct loop_event *event);
void loop_event_del(struct loop_event *event);

/* Have it called from the loop, whatever FD is. */
void loop_event_activate(struct loop_event *event);

/* NULL is fine. */
void loop_event_free(struct loop_event *event);

/* Run TASK from the loop, once, however often it is posted until then. It cannot fail. */
void task_post(struct loop *loop, struct task *task);

/* Harmless where it is not posted. */
void task_cancel(struct loop *loop, struct task *task);

void timer_init(struct timer *timer, void (*fire)(void *arg), void *arg);

/* (Re)arm for the point AT on clock_now(), in the past too: then it fires in the loop's next round,
 * never from in here. NSEC_NEVER disarms. */
void timer_arm(struct loop *loop, struct timer *timer, nsec at);
void timer_disarm(struct loop *loop, struct timer *timer);
bool timer_armed(const struct timer *timer);

#endif
