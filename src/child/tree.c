#include "child/tree.h"
#include "child/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int
tree_adopt(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

enum tree_news
tree_wait(struct tree *tree, int *status)
{
	pid_t pid;

	do
		pid = waitpid(-1, status, WNOHANG | WUNTRACED);
	while (pid == -1 && errno == EINTR);
	if (pid == -1)
		return TREE_EMPTY;
	if (pid == 0)
		return TREE_NOTHING;
	if (WIFSTOPPED(*status))
		return pid == tree->leader ? TREE_STOPPED : TREE_OTHER;
	if (pid != tree->leader)
		return TREE_OTHER;
	tree->reaped = true;
	return TREE_LEADER;
}

/* A process that has gone, or changed its user so that it is beyond us, is no failure of ours. */
static void
send(const struct tree *tree, pid_t pid, int signo)
{
	char name[SIGNAL_NAME];

	if (kill(pid, signo) == -1 && errno != ESRCH)
		log_errno(tree->log, LEVEL_WARNING, errno, "cannot send %s to process %d", signal_name(signo, name),
		    (int)pid);
}

void
tree_signal_leader(struct tree *tree, int signo, bool asks_to_end)
{
	if (tree->leader == 0 || tree->reaped)
		return;
	send(tree, tree->leader, signo);
	if (asks_to_end)
		send(tree, tree->leader, SIGCONT);
}

/* Reads the parent's pid out of /proc/PID/stat: the second field behind the last ')'. */
static pid_t
read_parent(pid_t pid)
{
	char path[32], buf[512], *end;
	ssize_t len;
	int fd, parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return 0;
	len = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	buf[len] = '\0';
	end = strrchr(buf, ')');
	return end != NULL && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* What getdents64(2) writes. opendir(3) would need memory, and killing must not. */
struct proc_entry {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

static bool
is_stranger(const struct tree_strangers *strangers, pid_t pid)
{
	for (size_t i = 0; strangers != NULL && i < strangers->count; i++)
		if (strangers->pids[i] == pid)
			return true;
	return false;
}

/* True where we are above PID, which may be gone by now, without a stranger between. */
static bool
is_descendant(pid_t pid, pid_t root, const struct tree_strangers *strangers)
{
	/* Bounded, for ids can be reused while we climb. */
	for (int depth = 0; depth < 1000 && pid > 1 && !is_stranger(strangers, pid); depth++) {
		pid = read_parent(pid);
		if (pid == root)
			return true;
	}
	return false;
}

/* An empty directory is no /proc, and that of another pid namespace has other processes under our numbers. */
static bool
is_our_proc(void)
{
	char self[16];
	ssize_t len = readlink("/proc/self", self, sizeof(self) - 1);

	if (len == -1)
		return false;
	self[len] = '\0';
	return atoi(self) == getpid();
}

int
tree_each_descendant(const struct tree_strangers *strangers, void (*found)(void *arg, pid_t pid), void *arg)
{
	_Alignas(struct proc_entry) char buf[4096];
	int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t len;

	if (fd == -1)
		return -1;
	if (!is_our_proc()) {
		close(fd);
		return -1;
	}
	while ((len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < len;) {
			const struct proc_entry *entry = (const struct proc_entry *)(buf + at);
			pid_t pid = atoi(entry->name);

			if (pid > 0 && is_descendant(pid, getpid(), strangers))
				found(arg, pid);
			at += entry->length;
		}
	}
	close(fd);
	return 0;
}

static void
signal_group(const struct tree *tree, int signo)
{
	if (tree->leader != 0 && kill(-tree->leader, signo) == -1 && errno != ESRCH)
		log_errno(tree->log, LEVEL_WARNING, errno, "cannot signal the command's process group");
}

struct signalling {
	const struct tree *tree;
	int signo;
};

static void
signal_one(void *arg, pid_t pid)
{
	const struct signalling *signalling = arg;
	const struct tree *tree = signalling->tree;

	/* The living leader's group has got it already. */
	if (tree->reaped || getpgid(pid) != tree->leader)
		send(tree, pid, signalling->signo);
}

void
tree_signal_all(struct tree *tree, int signo)
{
	struct signalling signalling = { .tree = tree, .signo = signo };

	if (signo == SIGKILL)
		cgroup_kill(tree->cgroup);
	/* The group first: that is at once, whatever /proc is like. Once its leader is reaped the group's id may have
	 * gone to somebody else: then it is used only where there is no /proc to tell. */
	if (!tree->reaped)
		signal_group(tree, signo);
	if (tree_each_descendant(NULL, signal_one, &signalling) == -1 && tree->reaped)
		signal_group(tree, signo);
}
