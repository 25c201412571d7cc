/* base: the loop itself: events, timers and tasks, and which comes first. */
#include "base/loop.h"

#include "unit.h"

#include <string.h>

static struct loop *loop;
static struct task one, two;
static struct timer early, late;
static char trace[64];

static void
note(const char *what)
{
	strcat(trace, what);
}

static int
make_loop(void **state)
{
	(void)state;
	trace[0] = '\0';
	loop = loop_new(NULL, NULL);
	return loop == NULL ? -1 : 0;
}

static int
free_loop(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void
run(void)
{
	/* What a round brings about, the next one does. */
	for (int round = 0; round < 4; round++)
		event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

static void
on_one(void *arg)
{
	(void)arg;
	note("1");
}

static void
on_two_after_one(void *arg)
{
	(void)arg;
	note("2");
	task_post(loop, &one);
}

static void
tasks_run_in_their_order(void **state)
{
	(void)state;
	task_init(&one, on_one, NULL);
	task_init(&two, on_two_after_one, NULL);
	task_post(loop, &two);
	task_post(loop, &one);
	task_post(loop, &one); /* once */
	assert_string_equal(trace, "");
	run();
	/* Task one was in the queue when task two posted it. */
	assert_string_equal(trace, "21");
	task_post(loop, &one);
	task_cancel(loop, &one);
	run();
	assert_string_equal(trace, "21");
}

static void
on_event(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	task_post(loop, &one);
	note(arg);
}

static void
tasks_run_between_two_callbacks(void **state)
{
	struct loop_event *a, *b;

	(void)state;
	task_init(&one, on_one, NULL);
	a = loop_event(loop, -1, 0, PRIORITY_DEADLINE, on_event, (char[]){ "a" });
	b = loop_event(loop, -1, 0, PRIORITY_DEADLINE, on_event, (char[]){ "b" });
	loop_event_activate(a);
	loop_event_activate(b);
	run();
	assert_string_equal(trace, "a1b1");
	loop_event_free(a);
	loop_event_free(b);
}

static void
on_early(void *arg)
{
	(void)arg;
	note("e");
	task_post(loop, &one);
}

static void
on_late(void *arg)
{
	(void)arg;
	note("l");
}

static void
move_late(void *arg)
{
	(void)arg;
	note("1");
	timer_arm(loop, &late, clock_now() + 3600 * NSEC_PER_SEC);
}

static void
tasks_run_before_a_timer_that_is_due(void **state)
{
	(void)state;
	task_init(&one, move_late, NULL);
	timer_init(&early, on_early, NULL);
	timer_init(&late, on_late, NULL);
	timer_arm(loop, &early, 1);
	timer_arm(loop, &late, 2);
	run();
	assert_string_equal(trace, "e1");
	timer_disarm(loop, &late);
}

static void
free_all(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	task_post(loop, &one);
	loop_event_free(*(struct loop_event **)arg);
	task_cancel(loop, &one);
	loop_free(loop);
	loop = NULL;
}

static void
a_callback_may_free_the_loop(void **state)
{
	struct event_base *base = event_base_new();
	struct loop_event *event;

	(void)state;
	loop_free(loop);
	loop = loop_new(base, NULL);
	assert_non_null(loop);
	task_init(&one, on_one, NULL);
	event = loop_event(loop, -1, 0, PRIORITY_REST, free_all, &event);
	loop_event_activate(event);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_null(loop);
	event_base_free(base);
	assert_string_equal(trace, "");
}

int
main(void)
{
#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, make_loop, free_loop)
	const struct CMUnitTest tests[] = {
		WITH_LOOP(tasks_run_in_their_order),
		WITH_LOOP(tasks_run_between_two_callbacks),
		WITH_LOOP(tasks_run_before_a_timer_that_is_due),
		WITH_LOOP(a_callback_may_free_the_loop),
	};

	return RUN_UNITS(tests);
}
