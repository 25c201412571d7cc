#include "etcdlocker/sentinel.h"

#include "base/coverage.h"
#include "child/descriptors.h"
#include "child/keeper.h"
#include "child/patience.h"
#include "child/sys.h"
#include "child/tree.h"
#include "child/tty.h"
#include "etcdlocker/outcome.h"
#include "etcdlocker/reclaim.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* SIGKILL is sent again after so long where nothing dies, twice as long each time; where something does, at once. */
#define KILL_PAUSE_FIRST_MS 5
#define KILL_PAUSE_LAST_MS 500

/* So long the keeper, which sees the same from below, may take to end what is left. Then it has to go, too. */
#define KEEPER_PATIENCE (500 * NSEC_PER_MSEC)

/* How soon to try again what the service manager has had no room for. */
#define BUSY_PAUSE_MS 100

/* And how often at our end. */
#define BUSY_TRIES 5

/* What lives so long after the lease has ended cannot be killed, and nothing is left to wait for. */
#define KILL_PATIENCE (10 * NSEC_PER_SEC)

/* As often nothing but elders must be found below us, where no word of the kernel can tell. */
#define LOOKS 3

/* The end of a process that we forked: what main()'s process set up for its own end is not for it. */
_Noreturn static void
leave(int code)
{
	coverage_record();
	_exit(code);
}

struct sentinel {
	struct setup *setup;
	int signal_fd;
	pid_t supervisor;
	int status;                /* of the supervisor, once it is gone */
	bool gone;                 /* the supervisor is */
	bool emptied;              /* the keeper has ended, and has said that nothing was left below it */
	struct tree_spared elders; /* children that we had before: what exec'ed us had started them */
	bool progress;             /* something has died since the last round of killing */
	ssize_t found;             /* in that round */
	unsigned clean_looks;      /* in a row that have found nothing to kill */
	bool busy;                 /* the service manager has not taken a message yet */
};

static void
note_elders(struct sentinel *sentinel)
{
	siginfo_t info;

	/* Nearly always there is none, and one call tells. */
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1)
		return;
	if (tree_spare_all(&sentinel->elders) == -1)
		log_msg(sentinel->setup->log, LEVEL_WARNING,
		    "there is no /proc: cannot tell the command's processes from our own");
}

static void
reap(struct sentinel *sentinel)
{
	const pid_t keeper = atomic_load(&sentinel->setup->deadman->shared->keeper);
	int status;
	pid_t pid;

	while ((pid = sys_wait(&status, WNOHANG)) > 0) {
		tree_spare_no_more(&sentinel->elders, pid);
		sentinel->progress = true;
		if (pid == keeper && WIFEXITED(status) && WEXITSTATUS(status) == KEEPER_EMPTY)
			sentinel->emptied = true;
		if (pid != sentinel->supervisor)
			continue;
		sentinel->gone = true;
		sentinel->status = status;
	}
}

static void
forward_signals(struct sentinel *sentinel)
{
	struct signalfd_siginfo info;

	while (read(sentinel->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		int signo = (int)info.ssi_signo;
		/* The terminal's stop signals are about us, not about COMMAND, which is in a group of its own. */
		bool job_control =
		    info.ssi_code == SI_KERNEL && (signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU);

		unsigned char byte = (unsigned char)signo;

		/* Not by kill(2): of two equal signals that are pending one is lost, and whoever signals our group has
		 * left one with the supervisor already. A full pipe means thousands unread: one more does not matter.
		 */
		if (!signals_are_ours(signo) && !job_control && !sentinel->gone &&
		    write(sentinel->setup->deadman->lifeline[1], &byte, 1) == -1)
			log_errno(sentinel->setup->log, LEVEL_DEBUG, errno, "cannot pass a signal on");
	}
}

/* Sleeps until something happens, at most TIMEOUT_MS; -1: for ever. */
static void
sleep_on(struct sentinel *sentinel, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = sentinel->signal_fd, .events = POLLIN },
		{ .fd = sentinel->busy ? -1 : sentinel->setup->service->news[0], .events = POLLIN },
		{ .fd = sentinel->setup->deadman->timer_fd, .events = POLLIN },
	};

	/* An error is EINTR or a shortage that goes by: the caller looks at everything anyway. */
	(void)poll(fds, timeout_ms < 0 ? 3 : 2, timeout_ms < 0 && sentinel->busy ? BUSY_PAUSE_MS : timeout_ms);
	forward_signals(sentinel);
	sentinel->busy = service_relay(sentinel->setup->service);
	reap(sentinel);
}

/* One round of SIGKILL for everything below us. */
static void
kill_all(struct sentinel *sentinel, bool keeper_too)
{
	struct deadman_page *shared = sentinel->setup->deadman->shared;
	const pid_t keeper = atomic_load(&shared->keeper);
	struct tree_spared spared = sentinel->elders;
	const bool spares_keeper = !keeper_too && keeper > 0 && !sentinel->emptied;
	int number = atomic_load(&shared->cgroup);
	ssize_t found;

	/* It might be beyond the reach of signals for a while itself: that must not hold up the rest. */
	if (!sentinel->gone)
		sys_kill(sentinel->supervisor, SIGKILL);
	/* One of that name that the supervisor has not made is not ours. */
	if (number != 0) {
		cgroup_name(&sentinel->setup->cgroup, number);
		cgroup_kill_named(&sentinel->setup->cgroup);
	}
	/* The keeper is the last to go: it reaps, and says whether something is left. */
	if (spares_keeper) {
		sys_kill(keeper, SIGCONT);
		tree_spare_alone(&spared, keeper);
	}
	if (sentinel->gone && keeper_too)
		tree_leave_dead(true);
	found = spares_keeper ? tree_kill_children(&spared) : tree_kill(&spared);
	if (found == -1 && atomic_load(&shared->leader) > 0)
		/* COMMAND itself dies with the keeper; what has left its group is reached only as it becomes our child.
		 */
		sys_kill(-atomic_load(&shared->leader), SIGKILL);
	sentinel->progress = sentinel->progress || found != sentinel->found;
	sentinel->found = found;
	sentinel->clean_looks = found <= 0 ? sentinel->clean_looks + 1 : 0;
	/* In a pid namespace of our own nobody else is left. */
	if (getpid() == 1 && sentinel->gone && keeper_too)
		(void)sys_kill(-1, SIGKILL);
}

/* True where nothing of the tree is left: the kernel says that we have no child. Where we have some from before it
 * cannot say so: then it is the keeper's word, which it has from the kernel, or failing that what is seen below us. */
static bool
is_empty(const struct sentinel *sentinel)
{
	if (!sentinel->gone)
		return false;
	if (sentinel->elders.count == 0)
		return (sys_wait(NULL, WNOHANG) == -1 && errno == ECHILD) || tree_is_dead(NULL);
	return sentinel->emptied || sentinel->clean_looks >= LOOKS;
}

/* Where something has been killed in vain for a while, that is said, ever less often. */
static void
say_survivor(const struct sentinel *sentinel, struct patience *patience)
{
	struct tree_spared spared = sentinel->elders;
	struct tree_survivor survivor;

	tree_spare_alone(&spared, atomic_load(&sentinel->setup->deadman->shared->keeper));
	if (!patience_over(patience) || !tree_find_survivor(&spared, &survivor))
		return;
	log_msg(sentinel->setup->log, LEVEL_WARNING, "process %d (%s) cannot be killed: %s", (int)survivor.pid,
	    survivor.name, survivor.reason);
}

/* SIGKILL for everything below us, the supervisor first, until nothing is left. Returns false where something will not
 * die. */
static bool
kill_tree(struct sentinel *sentinel)
{
	const nsec began = clock_now();
	nsec lease_end = atomic_load(&sentinel->setup->deadman->shared->kill_by), limit;
	struct patience patience;
	int pause_ms = KILL_PAUSE_FIRST_MS;

	limit = (lease_end > began ? lease_end : began) + KILL_PATIENCE;
	patience_begin(&patience);
	(void)tree_hurry();
	for (;;) {
		sentinel->progress = false;
		kill_all(sentinel, clock_now() - began > KEEPER_PATIENCE);
		reap(sentinel);
		if (is_empty(sentinel))
			return true;
		if (clock_now() >= limit)
			return false;
		say_survivor(sentinel, &patience);
		sleep_on(sentinel, sentinel->progress ? 0 : pause_ms);
		if (sentinel->progress)
			pause_ms = KILL_PAUSE_FIRST_MS;
		else if (pause_ms < KILL_PAUSE_LAST_MS)
			pause_ms *= 2;
	}
}

static void
run_reclaim(void *arg)
{
	reclaim_run(arg);
	leave(0);
}

/* A fresh process for what needs libraries: it releases the lock that the dead supervisor had. */
static void
reclaim(struct sentinel *sentinel)
{
	pid_t pid;

	if (atomic_load(&sentinel->setup->deadman->shared->create_revision) == 0)
		return;
	pid = sys_fork(run_reclaim, sentinel->setup);
	/* It limits itself to 5 s. */
	while (pid > 0 && waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
}

/* The dead COMMAND might have had the terminal. */
static void
restore_terminal(const struct sentinel *sentinel)
{
	int tty = tty_open();

	if (tty == -1)
		return;
	tty_take_back(tty, atomic_load(&sentinel->setup->deadman->shared->leader), getpgrp());
	close(tty);
}

/* Why the supervisor is not there any more. */
static void
describe_end(const struct sentinel *sentinel, bool overdue, char *text, size_t size)
{
	if (overdue)
		snprintf(text, size, "the supervisor did not move for as long as the lease lasts");
	else if (WIFSIGNALED(sentinel->status))
		snprintf(text, size, "the supervisor was killed by signal %d", WTERMSIG(sentinel->status));
	else
		snprintf(text, size, "the supervisor ended before its work was done");
}

/* The supervisor is dead, or as good as dead: what it can no longer do is done here. */
static int
take_over(struct sentinel *sentinel)
{
	const struct logger *log = sentinel->setup->log;
	const char *key = sentinel->setup->options->key;
	bool held = atomic_load(&sentinel->setup->deadman->shared->held);
	/* Where we were stopped with it, the kernel's timer was the first. */
	bool overdue = !sentinel->gone || deadman_overdue(sentinel->setup->deadman);
	char why[128];

	if (!kill_tree(sentinel)) {
		log_msg(log, LEVEL_ERROR,
		    "something that the command started cannot be killed: the lock %.200s is not released, its lease ends by "
		    "itself",
		    key);
		return EXIT_COMMAND;
	}
	tree_leave_dead(false);
	restore_terminal(sentinel);
	reclaim(sentinel);
	describe_end(sentinel, overdue, why, sizeof(why));
	log_msg(log, LEVEL_ERROR, held ? "lock %.200s lost: %s; killed everything" : "lock %.200s not acquired: %s",
	    key, why);
	return held ? EXIT_LOST : EXIT_NOT_ACQUIRED;
}

static int
guard(struct sentinel *sentinel)
{
	const struct deadman *deadman = sentinel->setup->deadman;

	while (!sentinel->gone && !deadman_overdue(deadman))
		sleep_on(sentinel, -1);
	/* Its exit code is believed only with its word: a loop that has failed leaves a tree, and a lock, behind. */
	if (sentinel->gone && WIFEXITED(sentinel->status) && atomic_load(&deadman->shared->done))
		return WEXITSTATUS(sentinel->status);
	return take_over(sentinel);
}

static void
run_supervisor(void *arg)
{
	struct sentinel *sentinel = arg;

	close(sentinel->signal_fd);
	(void)setpgid(0, 0);
	leave(supervisor_run(sentinel->setup));
}

int
sentinel_run(struct setup *setup)
{
	struct sentinel sentinel = { .setup = setup };
	struct deadman *deadman = setup->deadman;
	int code;

	sentinel.signal_fd = signals_open();
	if (sentinel.signal_fd == -1 || tree_adopt() == -1) {
		log_errno(setup->log, LEVEL_ERROR, errno, "cannot guard a command");
		return EXIT_NOT_ACQUIRED;
	}
	note_elders(&sentinel);
	cgroup_find(&setup->cgroup);
	setup->home = getpgrp();
	sentinel.supervisor = sys_fork(run_supervisor, &sentinel);
	if (sentinel.supervisor == -1) {
		log_errno(setup->log, LEVEL_ERROR, errno, "cannot fork");
		return EXIT_COMMAND;
	}
	/* In a group of its own, so that no SIGKILL for a group takes us all. Both processes do it, so that the first
	 * one has done it. */
	(void)setpgid(sentinel.supervisor, sentinel.supervisor);
	close(deadman->lifeline[0]);
	service_relay_start(setup->service);
	descriptors_close_inherited();
	if (chdir("/") == -1)
		log_errno(setup->log, LEVEL_DEBUG, errno, "cannot change to /");
	code = guard(&sentinel);
	private_dir_remove(deadman->shared->private_dir);
	for (int tries = 0; service_relay(setup->service) && tries < BUSY_TRIES; tries++)
		(void)poll(NULL, 0, BUSY_PAUSE_MS);
	if (atomic_load(&deadman->shared->cgroup) != 0) {
		cgroup_name(&setup->cgroup, atomic_load(&deadman->shared->cgroup));
		cgroup_remove(&setup->cgroup);
	}
	return code;
}
