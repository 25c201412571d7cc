/* child: the keeper, ordered about by a test instead of a supervisor. */
#include "child/keeper.h"

#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Shared with the keeper. */
static struct {
	_Atomic pid_t leader;
	struct spawn_failure failure;
	_Atomic int wanted, asked;
} * shared;

static struct signal_state signals;
static struct keeper keeper;

static bool
may_start(void *arg, int number)
{
	(void)arg;
	atomic_fetch_add(&shared->asked, 1);
	return number == atomic_load(&shared->wanted);
}

static int
fork_keeper(void **state)
{
	static char words[][20] = { "sh", "-c", "eval \"$SCRIPT\"" };
	static char *const argv[] = { words[0], words[1], words[2], NULL };
	static struct keeper_setup setup = { .argv = argv, .signals = &signals, .may_start = may_start };

	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	setup.leader = &shared->leader;
	setup.failure = &shared->failure;
	return keeper_fork(&keeper, &setup);
}

static int
dismiss(void **state)
{
	(void)state;
	keeper_dismiss(&keeper);
	return waitpid(keeper.pid, NULL, 0) == keeper.pid ? 0 : -1;
}

/* The next piece of news, within ten seconds. */
static struct keeper_news
next_news(void)
{
	struct pollfd fd = { .fd = keeper.socket, .events = POLLIN };
	struct keeper_news news;

	assert_int_equal(poll(&fd, 1, 10000), 1);
	assert_int_equal(keeper_read(&keeper, &news), 1);
	return news;
}

static void
order(int number)
{
	const struct environment environment = { .changes = { (char[]){ "SCRIPT=exit 7" } }, .count = 1 };
	const struct keeper_start start = { .number = number, .environment = &environment, .cgroup = -1, .tty = -1 };

	assert_int_equal(keeper_start(&keeper, &start), 0);
}

static void
starts_and_reports(void **state)
{
	struct keeper_news news;

	(void)state;
	for (int round = 1; round <= 3; round++) {
		atomic_store(&shared->wanted, round);
		order(round);
		news = next_news();
		assert_int_equal(news.what, KEEPER_STARTED);
		assert_int_equal(news.pid, atomic_load(&shared->leader));
		news = next_news();
		assert_int_equal(news.what, KEEPER_ENDED);
		assert_true(WIFEXITED(news.status) && WEXITSTATUS(news.status) == 7);
		assert_true(news.emptied);
	}
}

/* An order that was read too late starts nothing. */
static void
starts_only_what_is_wanted(void **state)
{
	struct keeper_news news;

	(void)state;
	atomic_store(&shared->wanted, 2);
	order(1);
	news = next_news();
	assert_int_equal(news.what, KEEPER_FAILED);
	assert_int_equal(news.failure.errnum, ECANCELED);
	news = next_news();
	assert_int_equal(news.what, KEEPER_EMPTIED);
	assert_int_equal(atomic_load(&shared->leader), 0);
}

/* Nor does one of a supervisor that is dead by then. */
static void
starts_nothing_for_the_dead(void **state)
{
	const struct environment none = { 0 };
	const struct keeper_start start = { .number = 1, .environment = &none, .cgroup = -1, .tty = -1 };
	struct keeper stopped;
	int status;

	(void)state;
	atomic_store(&shared->wanted, 1);
	kill(keeper.pid, SIGSTOP);
	assert_int_equal(waitpid(keeper.pid, &status, WUNTRACED), keeper.pid);
	/* The CONT that goes with an order is for somebody else. */
	stopped = keeper;
	stopped.pid = getpid();
	assert_int_equal(keeper_start(&stopped, &start), 0);
	keeper_dismiss(&keeper);
	kill(keeper.pid, SIGCONT);
	assert_int_equal(waitpid(keeper.pid, &status, 0), keeper.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == KEEPER_EMPTY);
	/* It was not even asked whether it is wanted. */
	assert_int_equal(atomic_load(&shared->asked), 0);
	assert_int_equal(atomic_load(&shared->leader), 0);
}

/* What does not end by itself, and has left our group, too. */
static void
kills_everything(void **state)
{
	const struct environment environment = { .changes = { (char[]){ "SCRIPT=setsid sleep 300 & sleep 300" } },
		.count = 1 };
	const struct keeper_start start = { .number = 1, .environment = &environment, .cgroup = -1, .tty = -1 };
	struct keeper_news news;

	(void)state;
	atomic_store(&shared->wanted, 1);
	assert_int_equal(keeper_start(&keeper, &start), 0);
	assert_int_equal(next_news().what, KEEPER_STARTED);
	keeper_kill(&keeper);
	for (news = next_news(); !news.emptied && news.what != KEEPER_EMPTIED; news = next_news())
		assert_true(news.what == KEEPER_ALIVE || news.what == KEEPER_ENDED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(starts_and_reports, fork_keeper, dismiss),
		cmocka_unit_test_setup_teardown(starts_only_what_is_wanted, fork_keeper, dismiss),
		cmocka_unit_test_setup_teardown(kills_everything, fork_keeper, dismiss),
		cmocka_unit_test_setup(starts_nothing_for_the_dead, fork_keeper),
	};

	if (signals_take(&signals) == -1)
		return 1;
	return RUN_UNITS(tests);
}
