/* Runs a command as the leader of a session on a terminal of its own: what comes on stdin is typed there, what appears
 * there goes to stdout. Ends with the command, or hangs the terminal up at the end of stdin. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int
copy(int from, int to)
{
	char buf[4096];
	ssize_t len = read(from, buf, sizeof(buf));

	return len > 0 && write(to, buf, (size_t)len) == len ? 0 : -1;
}

int
main(int argc, char *argv[])
{
	int terminal, status;
	pid_t pid;

	if (argc < 2)
		return 64;
	pid = forkpty(&terminal, NULL, NULL, NULL);
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		_exit(99);
	}
	if (pid == -1)
		return 98;
	for (;;) {
		struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
			{ .fd = terminal, .events = POLLIN } };

		if (poll(fds, 2, -1) == -1 && errno != EINTR)
			break;
		if (fds[1].revents != 0 && copy(terminal, STDOUT_FILENO) == -1)
			break;
		if (fds[0].revents != 0 && copy(STDIN_FILENO, terminal) == -1)
			break;
	}
	close(terminal);
	if (waitpid(pid, &status, 0) == -1)
		return 98;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
