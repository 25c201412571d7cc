#include "child/tree.h"

#include "child/proc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* So often the tree is stopped before it is killed, at most, while it grows from one look to the next. */
#define STOP_ROUNDS 8

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
		pid = waitpid(-1, status, WNOHANG | WUNTRACED);
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

	/* Where there is no room any more it is not spared; what is below one that is needs no room. */
	if (parent == getpid() && spared->count < sizeof(spared->pids) / sizeof(spared->pids[0]))
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

static void
send(pid_t pid, pid_t parent, int signo)
{
	pid_t now;
	int fd;

	if (parent == getpid()) {
		kill(pid, signo);
		return;
	}
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd == -1)
		return;
	/* The pidfd is of whoever has the number now: is that the one that was found? Its parent may have died. */
	now = proc_parent(pid);
	if (now != 0 && (now == parent || now == getpid() || now == proc_parent(parent)))
		(void)syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
	close(fd);
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

ssize_t
tree_kill(const struct tree_spared *spared)
{
	ssize_t before = 0, count;

	for (int round = 0; round < STOP_ROUNDS; round++) {
		count = tree_signal(spared, SIGSTOP);
		if (count <= before)
			break;
		before = count;
	}
	return tree_signal(spared, SIGKILL);
}

void
tree_hurry(void)
{
	/* Allowed to root; for others it is as it was. */
	(void)setpriority(PRIO_PROCESS, 0, -20);
}

/* --- what is left --- */

static void
note_survivor(void *arg, pid_t pid, pid_t parent)
{
	struct tree_survivor *survivor = arg;

	(void)parent;
	if (proc_state(pid) == 'Z' || proc_state(pid) == 'X')
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

	if (kill(survivor->pid, 0) == -1 && errno == EPERM && proc_user(survivor->pid, &user))
		snprintf(why, size, "it runs as user %u, whom user %u may not signal; end it as that user or as root",
		    user, (unsigned)geteuid());
	else if (state == 0)
		snprintf(why, size, "/proc hides it from us, so that nothing is known of it; root can see it");
	else if (proc_is_frozen(survivor->pid))
		snprintf(why, size, "its cgroup is frozen; thaw it");
	else if (state == 'D')
		snprintf(why, size,
		    "it sleeps in the kernel (state D), perhaps on a file system or a disk that does not answer; repair that");
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
