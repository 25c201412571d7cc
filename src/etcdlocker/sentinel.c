#include "etcdlocker/sentinel.h"

#include "base/coverage.h"
#include "child/descriptors.h"
#include "child/tree.h"
#include "child/tty.h"
#include "etcdlocker/outcome.h"
#include "etcdlocker/reclaim.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* SIGKILL is sent again so often, while something of the tree is left. */
#define KILL_PAUSE_MS 20

/* How soon to try again what the service manager has had no room for. */
#define BUSY_PAUSE_MS 100

/* And how often at our end. */
#define BUSY_TRIES 5

/* What is not dead by then sleeps in the kernel, and no signal will reach it. */
#define KILL_PATIENCE (10 * NSEC_PER_SEC)

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
	int status; /* of the supervisor, once it is gone */
	bool gone;
	struct tree_strangers elders; /* children that we had before: what exec'ed us had started them */
	size_t left;                  /* processes of the tree, as last counted */
	bool busy;                    /* the service manager has not taken a message yet */
};

static void
note_elder(void *arg, pid_t pid)
{
	struct sentinel *sentinel = arg;

	struct tree_strangers *elders = &sentinel->elders;

	if (elders->count < sizeof(elders->pids) / sizeof(elders->pids[0]))
		elders->pids[elders->count++] = pid;
}

static void
note_elders(struct sentinel *sentinel)
{
	siginfo_t info;

	/* Nearly always there is none, and one call tells. */
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1)
		return;
	if (tree_each_descendant(NULL, note_elder, sentinel) == -1)
		log_msg(sentinel->setup->log, LEVEL_WARNING,
		    "there is no /proc: cannot tell the command's processes from our own");
}

/* Its number may be given to anybody from now on. */
static void
forget_elder(struct sentinel *sentinel, pid_t pid)
{
	struct tree_strangers *elders = &sentinel->elders;

	for (size_t i = 0; i < elders->count; i++)
		if (elders->pids[i] == pid)
			elders->pids[i] = elders->pids[--elders->count];
}

static void
reap(struct sentinel *sentinel)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		forget_elder(sentinel, pid);
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
		    write(sentinel->setup->link->lifeline[1], &byte, 1) == -1)
			log_errno(sentinel->setup->log, LEVEL_DEBUG, errno, "cannot pass a signal on");
	}
}

/* True where the supervisor has let its deadline pass. */
static bool
is_overdue(const struct sentinel *sentinel)
{
	nsec kill_by = atomic_load(&sentinel->setup->link->shared->kill_by);

	return kill_by != 0 && clock_now() >= kill_by;
}

/* Sleeps until something happens, at most TIMEOUT_MS; -1: for ever. */
static void
sleep_on(struct sentinel *sentinel, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = sentinel->signal_fd, .events = POLLIN },
		{ .fd = sentinel->busy ? -1 : sentinel->setup->service->news[0], .events = POLLIN },
		{ .fd = sentinel->setup->link->timer_fd, .events = POLLIN },
	};

	/* An error is EINTR or a shortage that goes by: the caller looks at everything anyway. */
	(void)poll(fds, timeout_ms < 0 ? 3 : 2, timeout_ms < 0 && sentinel->busy ? BUSY_PAUSE_MS : timeout_ms);
	forward_signals(sentinel);
	sentinel->busy = service_relay(sentinel->setup->service);
	reap(sentinel);
}

static void
kill_one(void *arg, pid_t pid)
{
	struct sentinel *sentinel = arg;

	sentinel->left++;
	kill(pid, SIGKILL);
}

/* SIGKILL for everything below us; counts what it finds. */
static void
kill_all(struct sentinel *sentinel)
{
	sentinel->left = 0;
	/* One of that name that the supervisor has not made is not ours. */
	if (atomic_load(&sentinel->setup->link->shared->has_cgroup))
		cgroup_kill_named(&sentinel->setup->cgroup);
	if (tree_each_descendant(&sentinel->elders, kill_one, sentinel) == -1) {
		pid_t leader = atomic_load(&sentinel->setup->link->shared->leader);

		/* COMMAND itself dies with the supervisor; what has left its group is reached only as it becomes our
		 * child. */
		if (leader > 0)
			kill(-leader, SIGKILL);
	}
}

/* True where nothing of the tree is left, as far as can be told: no descendant under /proc and, unless we have children
 * from before, none that could be waited for. */
static bool
is_empty(const struct sentinel *sentinel)
{
	if (sentinel->left > 0 || !sentinel->gone)
		return false;
	return sentinel->elders.count > 0 || (waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

/* SIGKILL for everything below us, the supervisor first, until nothing is left. Returns false where something will not
 * die. */
static bool
kill_tree(struct sentinel *sentinel)
{
	nsec limit = clock_now() + KILL_PATIENCE;

	for (;;) {
		/* It may be beyond the reach of signals for a while itself: that must not hold up the rest. */
		if (!sentinel->gone)
			kill(sentinel->supervisor, SIGKILL);
		kill_all(sentinel);
		if (is_empty(sentinel))
			return true;
		if (clock_now() >= limit)
			return false;
		sleep_on(sentinel, KILL_PAUSE_MS);
	}
}

/* A fresh process for what needs libraries: it releases the lock that the dead supervisor had. */
static void
reclaim(struct sentinel *sentinel)
{
	pid_t pid;

	if (atomic_load(&sentinel->setup->link->shared->create_revision) == 0)
		return;
	pid = fork();
	if (pid == 0) {
		reclaim_run(sentinel->setup);
		leave(0);
	}
	/* It limits itself to 5 s. */
	while (pid > 0 && waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
}

/* The dead COMMAND may have had the terminal. */
static void
restore_terminal(const struct sentinel *sentinel)
{
	int tty = tty_open();

	if (tty == -1)
		return;
	tty_take_back(tty, atomic_load(&sentinel->setup->link->shared->leader));
	close(tty);
}

/* The supervisor is dead, or as good as dead: what it can no longer do is done here. */
static int
take_over(struct sentinel *sentinel)
{
	const struct logger *log = sentinel->setup->log;
	const char *key = sentinel->setup->options->key;
	bool held = atomic_load(&sentinel->setup->link->shared->held), overdue = !sentinel->gone;

	if (!kill_tree(sentinel)) {
		log_msg(log, LEVEL_ERROR,
		    "something that the command started cannot be killed: the lock is not released, its lease ends by "
		    "itself");
		return EXIT_COMMAND;
	}
	restore_terminal(sentinel);
	reclaim(sentinel);
	if (overdue)
		log_msg(log, LEVEL_ERROR,
		    "lock %.200s lost: the supervisor did not move for as long as the lease lasts; killed everything",
		    key);
	else
		log_msg(log, LEVEL_ERROR,
		    held ? "lock %.200s lost: the supervisor was killed by signal %d; killed everything"
			 : "lock %.200s not acquired: the supervisor was killed by signal %d",
		    key, WTERMSIG(sentinel->status));
	return held ? EXIT_LOST : EXIT_NOT_ACQUIRED;
}

static int
guard(struct sentinel *sentinel)
{
	while (!sentinel->gone && !is_overdue(sentinel))
		sleep_on(sentinel, -1);
	/* One that has exited has said why, and has left nothing but what cannot be killed. */
	if (sentinel->gone && WIFEXITED(sentinel->status))
		return WEXITSTATUS(sentinel->status);
	return take_over(sentinel);
}

int
sentinel_run(struct setup *setup)
{
	struct sentinel sentinel = { .setup = setup };
	struct beacon_link *link = setup->link;
	int code;

	sentinel.signal_fd = signals_open();
	if (sentinel.signal_fd == -1 || tree_adopt() == -1) {
		log_errno(setup->log, LEVEL_ERROR, errno, "cannot guard a command");
		return EXIT_NOT_ACQUIRED;
	}
	note_elders(&sentinel);
	cgroup_find(&setup->cgroup);
	sentinel.supervisor = fork();
	if (sentinel.supervisor == -1) {
		log_errno(setup->log, LEVEL_ERROR, errno, "cannot fork");
		return EXIT_COMMAND;
	}
	if (sentinel.supervisor == 0) {
		close(sentinel.signal_fd);
		leave(supervisor_run(setup));
	}
	close(link->lifeline[0]);
	service_relay_start(setup->service);
	descriptors_close_inherited();
	if (chdir("/") == -1)
		log_errno(setup->log, LEVEL_DEBUG, errno, "cannot change to /");
	code = guard(&sentinel);
	for (int tries = 0; service_relay(setup->service) && tries < BUSY_TRIES; tries++)
		(void)poll(NULL, 0, BUSY_PAUSE_MS);
	if (atomic_load(&link->shared->has_cgroup))
		cgroup_remove(&setup->cgroup);
	return code;
}
