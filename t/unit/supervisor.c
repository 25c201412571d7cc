/* etcdlocker: the supervisor, with a lock, a keeper and a sentinel's page that do what the test says. */
#include "fake_keeper.h"
#include "fake_loop.h"
#include "fake_sys.h"

#include "etcdlocker/outcome.h"
#include "etcdlocker/supervisor.h"
#include "lock/etcdlock.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the lock, in place of the library's --- */

static struct {
	etcdlock_event_fn on_event;
	void *arg;
	int64_t deadline;
	enum etcdlock_failure failure;
	const char *error;
	int locks, unlocks;
} fake;

static struct etcdlock *const handle = (struct etcdlock *)&fake;

struct etcdlock_client *
etcdlock_client_new(struct event_base *base, const struct etcdlock_config *config, etcdlock_log_fn log, void *log_arg,
    char *why, size_t size)
{
	(void)base;
	(void)config;
	(void)log;
	(void)log_arg;
	(void)why;
	(void)size;
	return (struct etcdlock_client *)&fake;
}

void
etcdlock_client_free(struct etcdlock_client *client)
{
	(void)client;
}

struct etcdlock *
etcdlock_new(
    struct etcdlock_client *client, const struct etcdlock_config *config, etcdlock_event_fn on_event, void *arg)
{
	(void)client;
	(void)config;
	fake.on_event = on_event;
	fake.arg = arg;
	return handle;
}

void
etcdlock_free(struct etcdlock *lock)
{
	(void)lock;
}

int
etcdlock_lock(struct etcdlock *lock)
{
	(void)lock;
	fake.locks++;
	return 0;
}

int
etcdlock_unlock(struct etcdlock *lock)
{
	(void)lock;
	fake.unlocks++;
	fake.deadline = 0;
	return 0;
}

int64_t
etcdlock_deadline(const struct etcdlock *lock)
{
	(void)lock;
	return fake.deadline;
}

int64_t
etcdlock_revision(const struct etcdlock *lock)
{
	(void)lock;
	return 7;
}

const char *
etcdlock_owner_key(const struct etcdlock *lock)
{
	(void)lock;
	return "/l/1";
}

int64_t
etcdlock_create_revision(const struct etcdlock *lock)
{
	(void)lock;
	return 5;
}

const char *
etcdlock_holder(const struct etcdlock *lock)
{
	(void)lock;
	return "them";
}

const char *
etcdlock_holder_key(const struct etcdlock *lock)
{
	(void)lock;
	return "/l/2";
}

long
etcdlock_ahead(const struct etcdlock *lock)
{
	(void)lock;
	return 1;
}

bool
etcdlock_ahead_is_exact(const struct etcdlock *lock)
{
	(void)lock;
	return true;
}

enum etcdlock_failure
etcdlock_failure(const struct etcdlock *lock)
{
	(void)lock;
	return fake.failure;
}

const char *
etcdlock_error(const struct etcdlock *lock)
{
	(void)lock;
	return fake.error;
}

static void
lock_says(enum etcdlock_event event)
{
	fake.on_event(handle, event, fake.arg);
}

/* --- the sentinel's page, without its timers --- */

static struct deadman_page page;
static nsec guarded;

int
deadman_attach(struct deadman *deadman)
{
	(void)deadman;
	return 0;
}

void
deadman_set(struct deadman *deadman, nsec kill_by)
{
	(void)deadman;
	guarded = kill_by;
}

bool
deadman_may_start(void *deadman, int number)
{
	(void)deadman;
	(void)number;
	return true;
}

void
deadman_set_key(struct deadman *deadman, const char *owner_key, int64_t create_revision)
{
	(void)deadman;
	(void)owner_key;
	(void)create_revision;
}

/* --- the supervisor --- */

static char last_line[512];

static void
note_line(void *arg, int level, const char *line)
{
	(void)arg;
	if (level <= LEVEL_WARNING)
		snprintf(last_line, sizeof(last_line), "%s", line);
}

static int lifeline[2];
static bool relocks; /* the next run has --relock */
static void (*next)(int step);

static void
a_signal_comes(int signo)
{
	unsigned char byte = (unsigned char)signo;

	assert_int_equal(write(lifeline[1], &byte, 1), 1);
	fake_loop_ready(lifeline[0]);
}

static void
take_step(int step)
{
	if (step > 50)
		fail_msg("it does not end");
	next(step);
}

/* Runs a supervisor of "job", which STEPS happen to. Returns its exit code. */
static int
run_through(void (*steps)(int step), enum restart restart)
{
	static char job[] = "job", key[] = "/l";
	static char *const words[] = { job, NULL };
	struct signal_state signals = { 0 };
	struct service service = { .news = { -1, -1 }, .socket = -1, .ready_fd = -1 };
	/* Nobody's descriptors are closed for it, for it may be started again. */
	struct options options = { .command = words,
		.key = key,
		.signal = SIGTERM,
		.grace = 8 * NSEC_PER_SEC,
		.conflict_code = 1,
		.notify_fd = -1,
		.restart = restart,
		.relock = relocks,
		.config = etcdlock_config_new() };
	const struct logger log = { .write = note_line, .threshold = LEVEL_DEBUG };
	struct deadman deadman = { .shared = &page };
	struct setup setup = { .options = &options,
		.signals = &signals,
		.log = &log,
		.deadman = &deadman,
		.service = &service,
		.cgroup = { .parent = -1, .dir = -1, .kill = -1 } };
	int code;

	assert_int_equal(pipe2(lifeline, O_NONBLOCK | O_CLOEXEC), 0);
	deadman.lifeline[0] = lifeline[0];
	deadman.lifeline[1] = lifeline[1];
	memset(&fake, 0, sizeof(fake));
	fake.error = "";
	memset(&page, 0, sizeof(page));
	keeper_forget();
	sys_clear();
	sys_add(KEEPER_PID, SELF);
	last_line[0] = '\0';
	guarded = 0;
	next = steps;
	fake_loop_step = take_step;
	code = supervisor_run(&setup);
	close(lifeline[0]);
	close(lifeline[1]);
	etcdlock_config_free(options.config);
	assert_true(atomic_load(&page.done));
	return code;
}

/* The first steps of most: the lock is ours, and the job runs. */
static bool
begin(int step)
{
	if (step == 0) {
		assert_int_equal(fake.locks, 1);
		fake.deadline = clock_now() + 53 * NSEC_PER_SEC;
		lock_says(ETCDLOCK_ACQUIRED);
		assert_int_equal(guarded, fake.deadline);
		assert_int_equal(orders.starts, 1);
		assert_non_null(
		    strstr(orders.environment, "ETCD_LOCK_REV=7\nETCD_LOCK_OWNER_KEY=/l/1\nETCD_LOCK_CREATE_REV=5\n"));
	} else if (step == 1) {
		keeper_says((struct keeper_news){ .what = KEEPER_STARTED, .pid = 200 });
	}
	return step > 1;
}

static void
release(void)
{
	assert_int_equal(fake.unlocks, 1);
	assert_int_equal(guarded, 0);
	lock_says(ETCDLOCK_RELEASED);
}

static void
exits_with_7(int step)
{
	if (!begin(step))
		return;
	if (step == 2)
		keeper_says((struct keeper_news){ .what = KEEPER_ENDED, .status = 7 << 8, .emptied = true });
	else
		release();
}

static void
a_job_s_own_end_is_ours(void **state)
{
	(void)state;
	assert_int_equal(run_through(exits_with_7, RESTART_NEVER), 7);
	assert_string_equal(last_line, "");
}

static void
is_lost(int step)
{
	if (!begin(step))
		return;
	switch (step) {
	case 2:
		fake.deadline = 0;
		fake.error = "its key is gone";
		lock_says(ETCDLOCK_DROPPED);
		break;
	case 3:
		assert_int_equal(orders.kills, 1);
		assert_int_equal(fake.unlocks, 0);
		/* The sentinel lets us kill, as long as we go on. */
		assert_true(guarded > clock_now() && guarded <= clock_now() + 1500 * NSEC_PER_MSEC);
		keeper_says((struct keeper_news){ .what = KEEPER_ENDED, .status = SIGKILL, .emptied = true });
		break;
	default:
		release();
	}
}

static void
a_loss_kills_at_once(void **state)
{
	(void)state;
	assert_int_equal(run_through(is_lost, RESTART_NEVER), EXIT_LOST);
	assert_string_equal(last_line, "lock /l lost: its key is gone");
	assert_int_equal(orders.signals, 0);
}

static void
is_told_to_end(int step)
{
	if (!begin(step))
		return;
	if (step == 2) {
		a_signal_comes(SIGTERM);
		/* What follows from it never overwrites it. */
	} else if (step == 3) {
		assert_int_equal(orders.signo, SIGTERM);
		fake.deadline += 30 * NSEC_PER_SEC;
		lock_says(ETCDLOCK_RENEWED);
		assert_int_equal(guarded, fake.deadline);
		keeper_says((struct keeper_news){ .what = KEEPER_ENDED, .status = 0, .emptied = true });
	} else {
		release();
	}
}

static void
a_stop_signal_is_the_first_cause(void **state)
{
	(void)state;
	assert_int_equal(run_through(is_told_to_end, RESTART_NEVER), 128 + SIGTERM);
	assert_string_equal(last_line, "ended by signal TERM");
}

static void
does_not_end(int step)
{
	if (!begin(step))
		return;
	switch (step) {
	case 2:
		a_signal_comes(SIGTERM);
		break;
	case 3:
		assert_int_equal(orders.kills, 0);
		fake_loop_advance(9 * NSEC_PER_SEC); /* the grace */
		break;
	case 4:
		assert_true(orders.kills > 0);
		assert_int_equal(fake.unlocks, 0);
		keeper_says((struct keeper_news){ .what = KEEPER_EMPTIED });
		break;
	default:
		release();
	}
}

static void
the_lock_is_kept_until_all_is_dead(void **state)
{
	(void)state;
	assert_int_equal(run_through(does_not_end, RESTART_NEVER), 128 + SIGTERM);
}

static void
is_refused(int step)
{
	(void)step;
	fake.failure = ETCDLOCK_FAILURE_CONFLICT;
	fake.error = "held by them";
	lock_says(ETCDLOCK_REFUSED);
}

static void
a_conflict_starts_nothing(void **state)
{
	(void)state;
	assert_int_equal(run_through(is_refused, RESTART_NEVER), 1);
	assert_string_equal(last_line, "lock /l not acquired: held by them");
	assert_int_equal(orders.starts, 0);
}

static void
is_lost_at_once(int step)
{
	if (step == 0) {
		/* Its loss is known already, and its news is the next. */
		fake.deadline = 0;
		lock_says(ETCDLOCK_ACQUIRED);
		fake.error = "its key is gone";
		lock_says(ETCDLOCK_DROPPED);
	} else if (step == 1) {
		assert_int_equal(orders.kills, 1);
		keeper_says((struct keeper_news){ .what = KEEPER_FAILED, .failure = { SPAWN_PROCESS, ECANCELED } });
		keeper_says((struct keeper_news){ .what = KEEPER_EMPTIED });
	} else {
		release();
	}
}

static void
a_start_that_comes_too_late_is_lost(void **state)
{
	(void)state;
	assert_int_equal(run_through(is_lost_at_once, RESTART_NEVER), EXIT_LOST);
	assert_int_equal(guarded, 0);
}

static void
fails_once(int step)
{
	if (!begin(step))
		return;
	switch (step) {
	case 2:
		keeper_says((struct keeper_news){ .what = KEEPER_ENDED, .status = 1 << 8, .emptied = true });
		break;
	case 3:
		/* Everything is dead, the lock is held, and it is guarded. */
		assert_int_equal(fake.unlocks, 0);
		assert_int_equal(guarded, fake.deadline);
		fake_loop_advance(2 * NSEC_PER_SEC);
		break;
	case 4:
		assert_int_equal(orders.starts, 2);
		keeper_says((struct keeper_news){ .what = KEEPER_STARTED, .pid = 201 });
		break;
	case 5:
		keeper_says((struct keeper_news){ .what = KEEPER_ENDED, .status = 0, .emptied = true });
		break;
	default:
		release();
	}
}

static void
a_failed_job_is_started_again(void **state)
{
	(void)state;
	assert_int_equal(run_through(fails_once, RESTART_ON_FAILURE), 0);
}

/* It ends, and its lock is found lost while it is released; then the lock is acquired once more. */
static void
is_lost_while_released(int step)
{
	if (step < 3 && !begin(step))
		return;
	switch (step) {
	case 2:
		keeper_says((struct keeper_news){ .what = KEEPER_ENDED, .status = 1 << 8, .emptied = true });
		assert_int_equal(fake.unlocks, 1);
		fake.error = "its key is gone";
		lock_says(ETCDLOCK_DROPPED);
		fake.error = "";
		lock_says(ETCDLOCK_RELEASED);
		break;
	case 3:
		fake_loop_advance(3600 * NSEC_PER_SEC);
		assert_int_equal(fake.locks, 2);
		fake.deadline = clock_now() + 3600 * NSEC_PER_SEC;
		lock_says(ETCDLOCK_ACQUIRED);
		break;
	case 4:
		keeper_says((struct keeper_news){ .what = KEEPER_STARTED, .pid = 201 });
		a_signal_comes(SIGTERM);
		break;
	case 5:
		/* It takes long to die: the lock is ours, and is kept as long as that takes. */
		for (int second = 0; second < 60; second++)
			fake_loop_advance(NSEC_PER_SEC);
		assert_true(orders.kills > 0);
		assert_int_equal(fake.unlocks, 1);
		keeper_says((struct keeper_news){ .what = KEEPER_EMPTIED });
		assert_int_equal(fake.unlocks, 2);
		lock_says(ETCDLOCK_RELEASED);
		break;
	default:
		fail_msg("it does not end");
	}
}

static void
an_earlier_loss_says_nothing_of_this_lock(void **state)
{
	(void)state;
	relocks = true;
	assert_int_equal(run_through(is_lost_while_released, RESTART_NEVER), 128 + SIGTERM);
	relocks = false;
}

static void
loses_its_keeper(int step)
{
	if (!begin(step))
		return;
	if (step == 2) {
		/* All that it had died with it, before we hear of it. */
		sys_find(KEEPER_PID)->state = 'Z';
		fake_loop_ready_all();
	} else {
		release();
	}
}

static void
without_a_keeper_it_is_over(void **state)
{
	(void)state;
	assert_int_equal(run_through(loses_its_keeper, RESTART_ON_FAILURE), 128 + SIGKILL);
	assert_string_equal(last_line, "our keeper process was killed: killing the command");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_s_own_end_is_ours),
		cmocka_unit_test(a_loss_kills_at_once),
		cmocka_unit_test(a_stop_signal_is_the_first_cause),
		cmocka_unit_test(the_lock_is_kept_until_all_is_dead),
		cmocka_unit_test(a_conflict_starts_nothing),
		cmocka_unit_test(a_start_that_comes_too_late_is_lost),
		cmocka_unit_test(a_failed_job_is_started_again),
		cmocka_unit_test(an_earlier_loss_says_nothing_of_this_lock),
		cmocka_unit_test(without_a_keeper_it_is_over),
	};

	return RUN_UNITS(tests);
}
