/* etcdlocker: COMMAND's life, with a keeper and processes that do what the test says. */
#include "fake_keeper.h"
#include "fake_loop.h"
#include "fake_sys.h"

#include "etcdlocker/command.h"

#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static struct deadman_page page;
static struct deadman deadman = { .shared = &page };
static struct service service;
static char job[] = "job";
static char *const words[] = { job, NULL };
static struct options options;
static const struct logger silent;
static struct setup setup = { .options = &options,
	.log = &silent,
	.deadman = &deadman,
	.service = &service,
	.cgroup = { .parent = -1, .dir = -1, .kill = -1 } };
static struct command command;

static void
on_events(void *arg)
{
	(void)arg;
}

static void
on_heard(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

static int
make_command(void **state)
{
	const struct keeper keeper = { .pid = KEEPER_PID, .socket = KEEPER_SOCKET };

	(void)state;
	keeper_forget();
	sys_clear();
	tree_leave_dead(false);
	sys_add(KEEPER_PID, SELF);
	/* It may be started again: our own descriptors stay open. */
	options = (struct options){ .command = words, .signal = SIGTERM, .grace = 8 * NSEC_PER_SEC, .relock = true };
	options.config = etcdlock_config_new();
	command = (struct command){ .heard = on_heard };
	return command_init(&command, &setup, &fake_loop, &keeper, on_events, NULL);
}

static int
free_command(void **state)
{
	(void)state;
	command.begun = true; /* no real process is to be waited for */
	command_free(&command);
	etcdlock_config_free(options.config);
	return 0;
}

/* The next event, which is WHAT. */
static struct command_event
happened(enum command_what what)
{
	struct command_event event;

	if (!command_events_next(&command.events, &event))
		fail_msg("nothing has happened where %d is expected", (int)what);
	assert_int_equal(event.what, what);
	return event;
}

static void
nothing_happened(void)
{
	assert_int_equal(command.events.count, 0);
}

static void
start(void)
{
	struct environment environment = { 0 };

	environment_set(&environment, "ETCD_LOCK_REV=%d", 7);
	command_start(&command, &environment);
	environment_free(&environment);
}

static void
start_and_run(void)
{
	start();
	nothing_happened();
	keeper_says((struct keeper_news){ .what = KEEPER_STARTED, .pid = 200 });
	happened(COMMAND_STARTED);
	assert_int_equal(command.leader, 200);
}

static void
a_start_is_ordered(void **state)
{
	(void)state;
	start_and_run();
	assert_int_equal(orders.starts, 1);
	assert_string_equal(orders.environment, "ETCD_LOCK_REV=7\n");
	assert_int_equal(atomic_load(&page.wanted), 1);
}

static void
a_start_that_cannot_be_ordered_is_over(void **state)
{
	(void)state;
	orders.broken = true;
	start();
	assert_non_null(strstr(happened(COMMAND_NOT_STARTED).text, "cannot start 'job': ordering it"));
	happened(COMMAND_TREE_EMPTY);
	/* What there is to kill is nothing. */
	command_kill(&command);
	happened(COMMAND_TREE_EMPTY);
	assert_int_equal(orders.kills, 0);
}

static void
an_exec_that_fails_is_said(void **state)
{
	(void)state;
	start();
	keeper_says((struct keeper_news){ .what = KEEPER_FAILED, .failure = { SPAWN_EXEC, ENOENT } });
	assert_non_null(strstr(happened(COMMAND_NOT_STARTED).text, "No such file"));
	keeper_says((struct keeper_news){ .what = KEEPER_EMPTIED });
	happened(COMMAND_TREE_EMPTY);
}

static void
its_end_comes_before_its_tree_s(void **state)
{
	(void)state;
	start_and_run();
	keeper_says((struct keeper_news){ .what = KEEPER_ENDED, .status = 7 << 8, .emptied = true });
	assert_int_equal(happened(COMMAND_ENDED).status, 7 << 8);
	happened(COMMAND_TREE_EMPTY);
	/* Nothing is left to sweep. */
	command_sweep(&command, false);
	assert_int_equal(orders.all_signals, 0);
	nothing_happened();
}

static void
what_it_leaves_is_swept_within_the_grace(void **state)
{
	(void)state;
	start_and_run();
	command_stop(&command, SIGINT, 8 * NSEC_PER_SEC);
	assert_int_equal(orders.signo, SIGINT);
	fake_loop_advance(5 * NSEC_PER_SEC);
	keeper_says((struct keeper_news){ .what = KEEPER_ENDED, .status = SIGINT });
	happened(COMMAND_ENDED);
	command_sweep(&command, true);
	assert_int_equal(orders.all_signals, 2); /* the stop signal, and CONT */
	fake_loop_advance(2 * NSEC_PER_SEC);
	nothing_happened();
	fake_loop_advance(2 * NSEC_PER_SEC);
	happened(COMMAND_GRACE_OVER);
}

static void
killing_goes_on_until_all_is_dead(void **state)
{
	(void)state;
	start_and_run();
	command_kill(&command);
	happened(COMMAND_KILLING);
	assert_int_equal(atomic_load(&page.wanted), 0);
	for (int round = 2; round < 6; round++) {
		fake_loop_advance(100 * NSEC_PER_MSEC);
		keeper_says((struct keeper_news){ .what = KEEPER_ALIVE });
		assert_int_equal(orders.kills, round);
		happened(COMMAND_KILLING);
	}
	keeper_says((struct keeper_news){ .what = KEEPER_EMPTIED });
	happened(COMMAND_TREE_EMPTY);
	fake_loop_advance(60 * NSEC_PER_SEC);
	assert_int_equal(orders.kills, 5);
	nothing_happened();
}

static void
a_keeper_that_does_not_answer_has_to_go(void **state)
{
	(void)state;
	start_and_run();
	sys_add(200, KEEPER_PID);
	command_kill(&command);
	fake_loop_advance(3 * NSEC_PER_SEC);
	assert_int_equal(sys_find(KEEPER_PID)->state, 'Z');
	happened(COMMAND_KILLING);
	/* The kernel says that it has ended: what it had is ours to kill now. */
	fake_loop_ready(command.child_fd);
	assert_int_equal(happened(COMMAND_KEEPER_LOST).status, 1);
	fake_loop_advance(NSEC_PER_SEC);
	assert_int_equal(sys_living(), 0);
	happened(COMMAND_KILLING);
	happened(COMMAND_TREE_EMPTY);
}

static void
what_cannot_be_killed_keeps_the_lock(void **state)
{
	struct command_event event;

	(void)state;
	start_and_run();
	command_kill(&command);
	/* For hours, as long as the lock is ours. */
	for (int minute = 0; minute < 120; minute++) {
		fake_loop_advance(60 * NSEC_PER_SEC);
		happened(COMMAND_KILLING);
	}
	nothing_happened();
	command_lock_lost(&command);
	fake_loop_advance(9 * NSEC_PER_SEC);
	happened(COMMAND_KILLING);
	nothing_happened();
	fake_loop_advance(2 * NSEC_PER_SEC);
	happened(COMMAND_KILLING);
	event = happened(COMMAND_UNKILLABLE);
	assert_non_null(strstr(event.text, "cannot be killed (for 10s after the lock was lost)"));
}

static void
a_keeper_that_dies_idle_had_nothing(void **state)
{
	(void)state;
	sys_find(KEEPER_PID)->state = 'Z';
	fake_loop_ready(command.child_fd);
	assert_int_equal(happened(COMMAND_KEEPER_LOST).status, 0);
	nothing_happened();
}

int
main(void)
{
#define WITH_COMMAND(test) cmocka_unit_test_setup_teardown(test, make_command, free_command)
	const struct CMUnitTest tests[] = {
		WITH_COMMAND(a_start_is_ordered),
		WITH_COMMAND(a_start_that_cannot_be_ordered_is_over),
		WITH_COMMAND(an_exec_that_fails_is_said),
		WITH_COMMAND(its_end_comes_before_its_tree_s),
		WITH_COMMAND(what_it_leaves_is_swept_within_the_grace),
		WITH_COMMAND(killing_goes_on_until_all_is_dead),
		WITH_COMMAND(a_keeper_that_does_not_answer_has_to_go),
		WITH_COMMAND(what_cannot_be_killed_keeps_the_lock),
		WITH_COMMAND(a_keeper_that_dies_idle_had_nothing),
	};

	return RUN_UNITS(tests);
}
