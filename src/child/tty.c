#include "child/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often to look whether we are in the foreground by now, while COMMAND waits for that: nobody tells. */
#define LOOK_PAUSE (300 * NSEC_PER_MSEC)

int
tty_open(void)
{
	return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

static pid_t
foreground(int fd)
{
	return fd == -1 ? -1 : tcgetpgrp(fd);
}

void
tty_take_back(int tty, pid_t group, pid_t home)
{
	pid_t current = foreground(tty);

	/* COMMAND had made the group of which no process is left. SIGTTOU is blocked in us, so that a group in
	 * the background may do this. */
	if (current > 0 && (current == group || (kill(-current, 0) == -1 && errno == ESRCH)))
		(void)tcsetpgrp(tty, home);
}

static void
on_look(void *arg)
{
	struct tty *tty = arg;
	pid_t group = foreground(tty->fd);

	if (group != -1 && (group == tty->home || group == tty->leader)) {
		(void)tcsetpgrp(tty->fd, tty->leader);
		tty->given = true;
		keeper_signal_all(tty->keeper, SIGCONT);
	} else if (group != -1) {
		timer_arm(tty->loop, &tty->look, clock_now() + LOOK_PAUSE);
	}
}

void
tty_init(struct tty *tty, struct loop *loop, const struct keeper *keeper, pid_t home)
{
	int fd = tty_open();

	*tty = (struct tty){ .fd = -1, .had = fd != -1, .home = home, .loop = loop, .keeper = keeper };
	if (fd != -1)
		close(fd);
	timer_init(&tty->look, on_look, tty);
}

int
tty_for_start(struct tty *tty)
{
	tty->fd = tty_open();
	tty->given = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && foreground(tty->fd) == tty->home;
	return tty->given ? tty->fd : -1;
}

/* Whether SIGNO is a signal that the terminal sends to the foreground alone, and can have sent. */
static bool
is_terminals(const struct tty *tty, int signo)
{
	int fd;

	if (signo == SIGINT || signo == SIGQUIT)
		return tty->given;
	if (signo != SIGHUP || !tty->had)
		return false;
	fd = tty_open();
	if (fd != -1)
		close(fd);
	return fd == -1;
}

int
tty_typed(const struct tty *tty, int status)
{
	int signo = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) - 128;

	return is_terminals(tty, signo) ? signo : 0;
}

bool
tty_on_stopped(struct tty *tty, int signo)
{
	if (signo == SIGTTIN || signo == SIGTTOU)
		on_look(tty);
	if (signo != SIGTSTP || foreground(tty->fd) != tty->leader)
		return false;
	keeper_signal_all(tty->keeper, SIGCONT);
	return true;
}

void
tty_on_ended(struct tty *tty)
{
	timer_disarm(tty->loop, &tty->look);
	tty_take_back(tty->fd, tty->leader, tty->home);
}

void
tty_close(struct tty *tty)
{
	if (tty->fd != -1)
		close(tty->fd);
	tty->fd = -1;
	tty->given = false;
}
