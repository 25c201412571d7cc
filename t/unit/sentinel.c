/* etcdlocker: the sentinel, over a supervisor that does what the test says. The processes are real. */
#include "child/tree.h"
#include "etcdlocker/outcome.h"
#include "etcdlocker/reclaim.h"
#include "etcdlocker/sentinel.h"

#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Shared by all of them. */
static struct {
	_Atomic pid_t job;
	_Atomic int reclaimed;
} * shared;

static void (*supervisor)(struct setup *setup);
static char key[] = "/l", job_name[] = "job";
static char *const words[] = { job_name, NULL };
static const struct options options = { .key = key, .command = words };
static const struct logger silent;

/* In place of the real one: in the process that the sentinel has forked. */
int
supervisor_run(struct setup *setup)
{
	if (deadman_attach(setup->deadman) == -1)
		return 99;
	supervisor(setup);
	return 7;
}

void
reclaim_run(const struct setup *setup)
{
	(void)setup;
	atomic_fetch_add(&shared->reclaimed, 1);
}

/* Runs a sentinel in a process of its own, with that supervisor. Returns its exit code; -1: it took longer than 20 s.
 */
static int
run_over(void (*what)(struct setup *setup))
{
	struct signal_state signals;
	struct deadman deadman;
	struct service service = { .news = { -1, -1 }, .socket = -1, .ready_fd = -1 };
	struct setup setup = { .options = &options,
		.signals = &signals,
		.log = &silent,
		.deadman = &deadman,
		.service = &service,
		.cgroup = { .parent = -1, .dir = -1, .kill = -1 } };
	int status = 0;
	pid_t pid;

	supervisor = what;
	atomic_store(&shared->job, 0);
	atomic_store(&shared->reclaimed, 0);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		if (signals_take(&signals) == -1 || deadman_open(&deadman, strlen(key)) == -1)
			_exit(98);
		_exit(sentinel_run(&setup));
	}
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
share(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

/* A process of the supervisor's that would live on. */
static void
start_job(struct setup *setup)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		for (;;)
			pause();
	}
	atomic_store(&shared->job, pid);
	atomic_store(&setup->deadman->shared->held, true);
	deadman_set_key(setup->deadman, "/l/1", 5);
}

static bool
job_lives(void)
{
	return kill(atomic_load(&shared->job), 0) == 0;
}

static void
say_done(struct setup *setup)
{
	atomic_store(&setup->deadman->shared->done, true);
}

static void
its_code_is_believed_with_its_word(void **state)
{
	(void)state;
	assert_int_equal(run_over(say_done), 7);
	assert_int_equal(atomic_load(&shared->reclaimed), 0);
}

static void
say_nothing(struct setup *setup)
{
	start_job(setup);
}

static void
without_it_everything_is_killed_and_released(void **state)
{
	(void)state;
	assert_int_equal(run_over(say_nothing), EXIT_LOST);
	assert_false(job_lives());
	assert_int_equal(atomic_load(&shared->reclaimed), 1);
}

static void
crash(struct setup *setup)
{
	start_job(setup);
	kill(getpid(), SIGKILL);
}

static void
a_killed_supervisor_s_job_is_killed(void **state)
{
	(void)state;
	assert_int_equal(run_over(crash), EXIT_LOST);
	assert_false(job_lives());
	assert_int_equal(atomic_load(&shared->reclaimed), 1);
}

static void
freeze(struct setup *setup)
{
	start_job(setup);
	deadman_set(setup->deadman, clock_now() + 200 * NSEC_PER_MSEC);
	/* Without the kernel's timer, which would kill it, too: the sentinel alone has to see it. */
	timer_delete(setup->deadman->last_resort);
	kill(getpid(), SIGSTOP);
}

static void
a_frozen_supervisor_s_job_is_killed_by_the_deadline(void **state)
{
	const nsec began = clock_now();

	(void)state;
	assert_int_equal(run_over(freeze), EXIT_LOST);
	assert_false(job_lives());
	assert_true(clock_now() - began >= 200 * NSEC_PER_MSEC);
}

static void
end_before_the_lock(struct setup *setup)
{
	(void)setup;
	kill(getpid(), SIGKILL);
}

static void
what_never_held_is_not_acquired(void **state)
{
	(void)state;
	assert_int_equal(run_over(end_before_the_lock), EXIT_NOT_ACQUIRED);
	assert_int_equal(atomic_load(&shared->reclaimed), 0);
}

static void
read_a_signal(struct setup *setup)
{
	struct pollfd fd = { .fd = setup->deadman->lifeline[0], .events = POLLIN };
	unsigned char signo = 0;

	kill(getppid(), SIGUSR1);
	if (poll(&fd, 1, 10000) == 1 && read(fd.fd, &signo, 1) == 1 && signo == SIGUSR1)
		say_done(setup);
}

static void
signals_are_passed_on(void **state)
{
	(void)state;
	assert_int_equal(run_over(read_a_signal), 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(its_code_is_believed_with_its_word, share),
		cmocka_unit_test_setup(without_it_everything_is_killed_and_released, share),
		cmocka_unit_test_setup(a_killed_supervisor_s_job_is_killed, share),
		cmocka_unit_test_setup(a_frozen_supervisor_s_job_is_killed_by_the_deadline, share),
		cmocka_unit_test_setup(what_never_held_is_not_acquired, share),
		cmocka_unit_test_setup(signals_are_passed_on, share),
	};

	return RUN_UNITS(tests);
}
