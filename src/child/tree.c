#include "child/tree.h"

#include "child/proc.h"
#include "child/sys.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* So often our own children alone are killed, which takes a small part of what the whole tree does. */
#define FAST_ROUNDS 2

/* So often the tree is stopped before it is killed, at most, while it grows from one look to the next. */
#define STOP_ROUNDS 8

/* Whether the dead among our children go without waiting for us. */
static bool kernel_reaps;

int
tree_adopt(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

enum tree_news
tree_wait(pid_t leader, int *status)
{
	pid_t pid;

	do
		pid = sys_wait(status, WNOHANG | WUNTRACED);
	while (pid == -1 && errno == EINTR);
	if (pid == -1)
		return TREE_EMPTY;
	if (pid == 0)
		return TREE_NOTHING;
	if (pid != leader)
		return TREE_OTHER;
	return WIFSTOPPED(*status) ? TREE_STOPPED : TREE_LEADER;
}

void
tree_spare_no_more(struct tree_spared *spared, pid_t pid)
{
	for (size_t i = 0; i < spared->count; i++)
		if (spared->pids[i] == pid)
			spared->pids[i--] = spared->pids[--spared->count];
}

static bool
is_spared(const struct tree_spared *spared, pid_t pid)
{
	for (size_t i = 0; spared != NULL && i < spared->count; i++)
		if (spared->pids[i] == pid)
			return true;
	return false;
}

/* What a walk through the tree does with each process. */
struct walk {
	const struct tree_spared *spared;
	void (*found)(void *arg, pid_t pid, pid_t parent);
	void *arg;
	size_t count;
};

static bool
visit(void *arg, pid_t pid, pid_t parent)
{
	struct walk *walk = arg;

	if (walk->spared != NULL && walk->spared->alone == pid)
		return true;
	if (is_spared(walk->spared, pid))
		return false;
	walk->count++;
	walk->found(walk->arg, pid, parent);
	return true;
}

static ssize_t
walk_tree(const struct tree_spared *spared, void (*found)(void *arg, pid_t pid, pid_t parent), void *arg)
{
	struct walk walk = { .spared = spared, .found = found, .arg = arg };

	return proc_each_descendant(visit, &walk) == -1 ? -1 : (ssize_t)walk.count;
}

static void
note_spared(void *arg, pid_t pid, pid_t parent)
{
	struct tree_spared *spared = arg;

	/* Where there is no room any more, the process is not spared. Processes below a spared one need no room. */
	if (parent == sys_self() && spared->count < sizeof(spared->pids) / sizeof(spared->pids[0]))
		spared->pids[spared->count++] = pid;
}

int
tree_spare_all(struct tree_spared *spared)
{
	return walk_tree(NULL, note_spared, spared) == -1 ? -1 : 0;
}

void
tree_spare_alone(struct tree_spared *spared, pid_t pid)
{
	spared->alone = pid;
}

/* The pidfd is of the process that has the number now: true where that is still the process that was found below
 * PARENT. */
static bool
is_still_below(int fd, pid_t pid, pid_t parent)
{
	bool ended;
	pid_t now;

	/* One of our own children, and alive: one call tells. A dead one is left to be reaped. */
	if (sys_pidfd_is_child(fd, &ended))
		return !ended;
	if (parent == sys_self())
		return false;
	/* Its parent might have died meanwhile. */
	now = proc_parent(pid);
	return now != 0 && (now == parent || now == proc_parent(parent));
}

static void
send(pid_t pid, pid_t parent, int signo)
{
	int fd;

	/* Nobody else can free the number of a child that we reap. */
	if (parent == sys_self() && !kernel_reaps) {
		sys_kill(pid, signo);
		return;
	}
	fd = sys_pidfd_open(pid);
	if (fd == -1)
		return;
	if (is_still_below(fd, pid, parent))
		(void)sys_pidfd_signal(fd, signo);
	sys_pidfd_close(fd);
}

static void
signal_one(void *arg, pid_t pid, pid_t parent)
{
	send(pid, parent, *(const int *)arg);
}

ssize_t
tree_signal(const struct tree_spared *spared, int signo)
{
	return walk_tree(spared, signal_one, &signo);
}

void
tree_kill_one(pid_t pid, pid_t parent)
{
	if (pid > 0 && parent > 0)
		send(pid, parent, SIGKILL);
}

struct children {
	const struct tree_spared *spared;
	ssize_t count;
};

static bool
kill_child(void *arg, pid_t pid, pid_t parent)
{
	struct children *children = arg;
	const struct tree_spared *spared = children->spared;

	if (is_spared(spared, pid) || (spared != NULL && spared->alone == pid))
		return false;
	children->count++;
	send(pid, parent, SIGKILL);
	return false;
}

ssize_t
tree_kill_children(const struct tree_spared *spared)
{
	struct children children = { .spared = spared };

	for (int round = 0; round < FAST_ROUNDS; round++) {
		children.count = 0;
		if (proc_each_descendant(kill_child, &children) == -1)
			return -1;
	}
	return children.count;
}

ssize_t
tree_kill(const struct tree_spared *spared)
{
	ssize_t before = 0, count;

	(void)tree_kill_children(spared);
	for (int round = 0; round < STOP_ROUNDS; round++) {
		count = tree_signal(spared, SIGSTOP);
		if (count <= before)
			break;
		before = count;
	}
	return tree_signal(spared, SIGKILL);
}

void
tree_leave_dead(bool to_kernel)
{
	sys_leave_dead(to_kernel);
	kernel_reaps = to_kernel;
}

static void
count_living(void *arg, pid_t pid, pid_t parent)
{
	size_t *living = arg;

	(void)parent;
	/* Without a tracer it is about to go, and a child of its might be on its way to us. */
	*living += proc_state(pid) != 'Z' || proc_threads(pid) > 1 || proc_tracer(pid) == 0;
}

bool
tree_is_dead(const struct tree_spared *spared)
{
	size_t living = 0;

	return walk_tree(spared, count_living, &living) > 0 && living == 0;
}

struct tree_pace
tree_hurry(void)
{
	const struct sched_param first = { .sched_priority = 1 };
	struct sched_param param = { .sched_priority = 0 };
	struct tree_pace before = { .policy = sched_getscheduler(0), .nice = getpriority(PRIO_PROCESS, 0) };

	if (sched_getparam(0, &param) == 0)
		before.realtime = param.sched_priority;
	/* Niceness counts only among those of one session, where the kernel groups processes by sessions (sched(7)). */
	if (before.policy != SCHED_FIFO && before.policy != SCHED_RR && sched_setscheduler(0, SCHED_FIFO, &first) == -1)
		(void)setpriority(PRIO_PROCESS, 0, -20);
	return before;
}

void
tree_set_pace(const struct tree_pace *pace)
{
	const struct sched_param param = { .sched_priority = pace->realtime };

	(void)sched_setscheduler(0, pace->policy, &param);
	(void)setpriority(PRIO_PROCESS, 0, pace->nice);
}

/* --- what is left --- */

static void
note_survivor(void *arg, pid_t pid, pid_t parent)
{
	struct tree_survivor *survivor = arg;

	char state = proc_state(pid);

	(void)parent;
	if ((state == 'Z' && proc_threads(pid) <= 1) || state == 'X' || (sys_kill(pid, 0) == -1 && errno == ESRCH))
		return;
	if (survivor->pid == 0)
		survivor->pid = pid;
	else
		survivor->others++;
}

static void
explain(struct tree_survivor *survivor)
{
	char *why = survivor->reason;
	const size_t size = sizeof(survivor->reason);
	char state = proc_state(survivor->pid);
	unsigned user = 0;
	pid_t tracer = proc_tracer(survivor->pid);

	if (sys_kill(survivor->pid, 0) == -1 && errno == EPERM && proc_user(survivor->pid, &user))
		snprintf(why, size, "it runs as user %u, whom user %u may not signal; end it as that user or as root",
		    user, (unsigned)geteuid());
	else if (state == 0)
		snprintf(why, size, "/proc hides it from us, so that nothing is known of it; root can see it");
	else if (state == 'D')
		snprintf(why, size,
		    "it sleeps in the kernel (state D): a disk or a file system does not answer, or its cgroup is frozen; "
		    "repair or thaw that");
	else if (tracer > 0)
		snprintf(why, size, "process %d traces it; end that one", (int)tracer);
	else
		snprintf(why, size, "it got SIGKILL and has not died yet (state %c)", state);
}

bool
tree_find_survivor(const struct tree_spared *spared, struct tree_survivor *survivor)
{
	*survivor = (struct tree_survivor){ 0 };
	walk_tree(spared, note_survivor, survivor);
	if (survivor->pid == 0)
		return false;
	proc_name(survivor->pid, survivor->name, sizeof(survivor->name));
	explain(survivor);
	return true;
}
