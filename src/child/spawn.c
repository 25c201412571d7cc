#include "child/spawn.h"

#include "base/coverage.h"
#include "child/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

const char *
spawn_stage_text(enum spawn_stage stage)
{
	switch (stage) {
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

__attribute__((noreturn)) static void
fail(int report, enum spawn_stage stage, int errnum)
{
	const struct spawn_failure failure = { .stage = stage, .errnum = errnum };

	/* Nobody is left to tell where this fails. */
	if (write(report, &failure, sizeof(failure)) == -1)
		_exit(126);
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

/* In the child: only async-signal-safe calls, for the resolver's threads may have held any lock at the fork. */
__attribute__((noreturn)) static void
become_command(const struct spawn *spawn, pid_t parent, int report)
{
	if (setpgid(0, 0) == -1)
		fail(report, SPAWN_GROUP, errno);
	/* Every signal is blocked, so SIGTTOU does not stop us. A terminal that has gone is no reason to fail. */
	if (spawn->tty != -1)
		(void)tcsetpgrp(spawn->tty, getpid());
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fail(report, SPAWN_PARENT, errno);
	if (getppid() != parent)
		fail(report, SPAWN_PARENT, ESRCH);
	descriptors_hide_ours();
	for (size_t i = 0; i < spawn->pass_count; i++)
		if (dup2(spawn->pass[i].from, spawn->pass[i].to) == -1)
			fail(report, SPAWN_DESCRIPTORS, errno);
	signals_restore(spawn->signals);
	if (spawn->own_pid != NULL)
		write_pid(spawn->own_pid, getpid());
	coverage_record();
	execvpe(spawn->argv[0], spawn->argv, spawn->envp);
	fail(report, SPAWN_EXEC, errno);
}

pid_t
spawn_start(const struct spawn *spawn, int *report)
{
	pid_t parent = getpid(), pid;
	int ends[2], saved;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	/* Out of the way of what is passed on. */
	ends[1] = descriptors_move_above(ends[1], spawn->pass_count > 0 ? SPAWN_PASS_MAX : 2);
	if (ends[1] == -1) {
		saved = errno;
		close(ends[0]);
		errno = saved;
		return -1;
	}
	pid = cgroup_fork(spawn->cgroup);
	if (pid == 0)
		become_command(spawn, parent, ends[1]);
	saved = errno;
	close(ends[1]);
	if (pid == -1 || fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1) {
		close(ends[0]);
		errno = saved;
		return -1;
	}
	/* In both, whoever comes first: a signal to the group must not be lost. It has gone on where this fails. */
	(void)setpgid(pid, pid);
	*report = ends[0];
	return pid;
}
