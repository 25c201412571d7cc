/* child: what tree kills, and what it leaves alone, in a table of processes. */
#include "fake_sys.h"

#include "child/tree.h"

#include "unit.h"

#include <signal.h>
#include <string.h>

static int
no_processes(void **state)
{
	(void)state;
	sys_clear();
	tree_leave_dead(false);
	return 0;
}

/* Kills and reaps until all is dead; fails the test where that takes long. */
static void
kill_all(const struct tree_spared *spared)
{
	int status;

	for (int round = 0; round < 10; round++) {
		enum tree_news news;

		(void)tree_kill(spared);
		while ((news = tree_wait(0, &status)) == TREE_OTHER)
			continue;
		if (news == TREE_EMPTY)
			return;
	}
	fail_msg("%d still live", sys_living());
}

static void
everything_below_is_killed(void **state)
{
	(void)state;
	sys_add(200, SELF);
	sys_add(201, 200);
	sys_add(202, 201);
	sys_add(203, 200);
	sys_add(300, 1); /* not ours */
	kill_all(NULL);
	assert_int_equal(sys_living(), 1);
	assert_int_equal(sys_find(300)->signals, 0);
}

static void
what_forks_meanwhile_is_killed(void **state)
{
	(void)state;
	sys_add(200, SELF);
	sys_add(201, 200)->forks = 202;
	sys_add(203, 201)->forks = 204;
	kill_all(NULL);
	assert_int_equal(sys_living(), 0);
}

static void
what_is_stopped_first_cannot_fork_away(void **state)
{
	(void)state;
	sys_add(200, SELF)->deaf = true;
	sys_add(201, 200);
	(void)tree_kill(NULL);
	assert_true(sys_find(200)->stopped);
	assert_null(strchr("S", proc_state(201)));
}

static void
the_spared_are_left_alone(void **state)
{
	struct tree_spared spared = { 0 };

	(void)state;
	sys_add(200, SELF);
	sys_add(201, 200);
	assert_int_equal(tree_spare_all(&spared), 0);
	sys_add(210, SELF); /* the keeper: itself spared, and not what is below it */
	sys_add(211, 210);
	tree_spare_alone(&spared, 210);
	(void)tree_kill(&spared);
	assert_int_equal(sys_find(200)->signals + sys_find(201)->signals + sys_find(210)->signals, 0);
	assert_int_equal(sys_find(211)->state, 'Z');
	/* A number that is free again may be anybody's. */
	tree_spare_no_more(&spared, 200);
	(void)tree_kill(&spared);
	assert_int_equal(sys_find(200)->state, 'Z');
}

static void
give_the_number_away(pid_t pid)
{
	struct process *process = sys_find(pid);

	sys_on_open = NULL;
	process->state = 0;
	sys_add(pid, 1);
}

/* Between the look at /proc and the signal it dies, and somebody else gets its number. */
static void
who_got_the_number_is_not_hit(void **state)
{
	(void)state;
	sys_add(200, SELF)->deaf = true;
	sys_add(201, 200);
	sys_on_open = give_the_number_away;
	(void)tree_signal(NULL, SIGTERM);
	assert_int_equal(sys_find(201)->parent, 1);
	assert_int_equal(sys_find(201)->signals, 0);
	assert_int_equal(sys_find(200)->last, SIGTERM);
}

static void
the_kernel_can_reap(void **state)
{
	(void)state;
	sys_add(200, SELF);
	tree_leave_dead(true);
	(void)tree_kill(NULL);
	assert_null(sys_find(200));
}

static void
zombies_that_somebody_traces_are_dead(void **state)
{
	struct process *traced;

	(void)state;
	assert_false(tree_is_dead(NULL));
	traced = sys_add(200, SELF);
	traced->tracer = 300;
	assert_false(tree_is_dead(NULL));
	(void)tree_kill(NULL);
	assert_true(tree_is_dead(NULL));
	/* One that nobody traces is about to go, and a child of its may be on its way to us. */
	sys_add(201, SELF)->state = 'Z';
	assert_false(tree_is_dead(NULL));
}

static void
survivors_are_explained(void **state)
{
	static const struct {
		char letter;
		bool other_user;
		pid_t tracer;
		const char *says;
	} cases[] = {
		{ 'D', false, 0, "sleeps in the kernel" },
		{ 'S', true, 0, "it runs as user 7" },
		{ 'S', false, 300, "process 300 traces it" },
		{ 'S', false, 0, "has not died yet (state S)" },
	};
	struct tree_survivor survivor;

	(void)state;
	assert_false(tree_find_survivor(NULL, &survivor));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct process *process;

		sys_clear();
		process = sys_add(200, SELF);
		sys_add(201, SELF)->state = 'Z';
		process->deaf = true;
		process->state = cases[i].letter;
		process->foreign = cases[i].other_user;
		process->tracer = cases[i].tracer;
		assert_true(tree_find_survivor(NULL, &survivor));
		assert_int_equal(survivor.pid, 200);
		assert_int_equal(survivor.others, 0);
		assert_string_equal(survivor.name, "p200");
		assert_non_null(strstr(survivor.reason, cases[i].says));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(everything_below_is_killed, no_processes),
		cmocka_unit_test_setup(what_forks_meanwhile_is_killed, no_processes),
		cmocka_unit_test_setup(what_is_stopped_first_cannot_fork_away, no_processes),
		cmocka_unit_test_setup(the_spared_are_left_alone, no_processes),
		cmocka_unit_test_setup(who_got_the_number_is_not_hit, no_processes),
		cmocka_unit_test_setup(the_kernel_can_reap, no_processes),
		cmocka_unit_test_setup(zombies_that_somebody_traces_are_dead, no_processes),
		cmocka_unit_test_setup(survivors_are_explained, no_processes),
	};

	return RUN_UNITS(tests);
}
