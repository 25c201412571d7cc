#include "child/spawn.h"

#include "child/cgroup.h"
#include "child/descriptors.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

const char *
spawn_stage_text(enum spawn_stage stage)
{
	switch (stage) {
	case SPAWN_PROCESS:
		return "making a process for it";
	case SPAWN_GROUP:
		return "making a process group for it";
	case SPAWN_PARENT:
		return "tying it to us";
	case SPAWN_DESCRIPTORS:
		return "giving it its ping channel";
	case SPAWN_EXEC:
		return "executing it";
	}
	return "starting it";
}

/* The child's memory is the parent's. */
__attribute__((noreturn)) static void
fail(const struct spawn *spawn, enum spawn_stage stage, int errnum)
{
	spawn->failure->stage = stage;
	spawn->failure->errnum = errnum;
	_exit(127);
}

/* As snprintf(3) would, which is not async-signal-safe. */
static void
write_pid(char text[SPAWN_PID], pid_t pid)
{
	char digits[SPAWN_PID];
	size_t count = 0;

	do
		digits[count++] = (char)('0' + pid % 10);
	while ((pid /= 10) > 0);
	while (count > 0)
		*text++ = digits[--count];
	*text = '\0';
}

struct start {
	const struct spawn *spawn;
	pid_t parent;
};

/* In the child, as vfork(2) has it: nothing of the parent's may be changed but what it expects. */
static void
become_command(void *arg)
{
	const struct start *start = arg;
	const struct spawn *spawn = start->spawn;

	if (setpgid(0, 0) == -1)
		fail(spawn, SPAWN_GROUP, errno);
	atomic_store(spawn->leader, getpid());
	/* Every signal is blocked, so SIGTTOU does not stop us. A terminal that has gone is no reason to fail. */
	if (spawn->tty != -1)
		(void)tcsetpgrp(spawn->tty, getpid());
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fail(spawn, SPAWN_PARENT, errno);
	if (getppid() != start->parent)
		fail(spawn, SPAWN_PARENT, ESRCH);
	descriptors_hide_ours();
	for (size_t i = 0; i < spawn->pass_count; i++)
		if (dup2(spawn->pass[i].from, spawn->pass[i].to) == -1)
			fail(spawn, SPAWN_DESCRIPTORS, errno);
	tree_set_pace(spawn->pace);
	signals_restore(spawn->signals);
	if (spawn->own_pid != NULL)
		write_pid(spawn->own_pid, getpid());
	execvpe(spawn->argv[0], spawn->argv, spawn->envp);
	fail(spawn, SPAWN_EXEC, errno);
}

pid_t
spawn_start(const struct spawn *spawn)
{
	struct start start = { .spawn = spawn, .parent = getpid() };

	*spawn->failure = (struct spawn_failure){ .stage = SPAWN_GROUP };
	return cgroup_vfork(spawn->cgroup, become_command, &start);
}
