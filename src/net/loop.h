/* A libevent base plus timers on CLOCK_BOOTTIME.
 *
 * libevent's own timers start from a cached time on CLOCK_MONOTONIC_COARSE and do not know suspend. The
 * timers here are absolute points on clock_now(), all driven by one timerfd a loop. They need no memory
 * of their own, so arming one cannot fail. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/clock.h"

#include <event2/event.h>
#include <stdbool.h>

/* What must not wait for anything else runs first; lower ones wait while higher ones have work. */
enum loop_priority { PRIORITY_DEADLINE, PRIORITY_IO, PRIORITY_REST, PRIORITY_LAST };

struct loop;

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

/* False in a child that was forked from the process that made LOOP: there it must be freed only. */
bool loop_is_ours(const struct loop *loop);

/* A persistent event on FD, not yet added, with the nearest priority that the base has; free it with
 * event_free(). NULL when memory is short. */
struct event *
loop_event(struct loop *loop, int fd, short what, enum loop_priority priority, event_callback_fn callback, void *arg);

/* The same, added. NULL when memory is short. */
struct event *
loop_watch(struct loop *loop, int fd, short what, enum loop_priority priority, event_callback_fn callback, void *arg);

void timer_init(struct timer *timer, void (*fire)(void *arg), void *arg);

/* (Re)arm for the point AT on clock_now(), in the past too: then it fires in the loop's next round,
 * never from in here. NSEC_NEVER disarms. */
void timer_arm(struct loop *loop, struct timer *timer, nsec at);
void timer_disarm(struct loop *loop, struct timer *timer);
bool timer_armed(const struct timer *timer);

#endif
