#include "child/sys.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__GLIBC__) && __GLIBC__ == 2 && __GLIBC_MINOR__ < 36
/* Linux has it since 5.4 (<linux/wait.h>), glibc's <sys/wait.h> since 2.36. */
#define P_PIDFD ((idtype_t)3)
#endif

int
sys_kill(pid_t pid, int signo)
{
	return kill(pid, signo);
}

pid_t
sys_wait(int *status, int flags)
{
	return waitpid(-1, status, flags);
}

int
sys_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

void
sys_pidfd_close(int fd)
{
	close(fd);
}

int
sys_pidfd_signal(int fd, int signo)
{
	return (int)syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
}

bool
sys_pidfd_is_child(int fd, bool *ended)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG | WNOWAIT) == -1)
		return false;
	*ended = info.si_pid != 0;
	return true;
}

pid_t
sys_self(void)
{
	return getpid();
}

pid_t
sys_fork(void (*run)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		run(arg);
	return pid;
}

void
sys_leave_dead(bool to_kernel)
{
	const struct sigaction action = { .sa_handler = SIG_DFL, .sa_flags = to_kernel ? SA_NOCLDWAIT : 0 };

	(void)sigaction(SIGCHLD, &action, NULL);
}
