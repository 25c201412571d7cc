#include "etcdlocker/password.h"

#include "base/secret.h"
#include "base/sigmask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <unistd.h>

static const int interrupting[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP };
#define INTERRUPTING (sizeof(interrupting) / sizeof(interrupting[0]))

static volatile sig_atomic_t caught;

static void
note_signal(int number)
{
	caught = number;
}

/* Reads a line of up to SIZE - 1 bytes. Returns its length; -1 where a signal came, or the terminal went. */
static ssize_t
read_line(int terminal, char *line, size_t size, const sigset_t *open)
{
	struct pollfd in = { .fd = terminal, .events = POLLIN };
	size_t len = 0;

	while (ppoll(&in, 1, NULL, open) == 1) {
		ssize_t got = read(terminal, line + len, 1);

		if (got == 0 || (got == 1 && line[len] == '\n')) {
			line[len] = '\0';
			return (ssize_t)len;
		}
		if (got == -1)
			return -1;
		if (len + 1 < size)
			len++;
	}
	return -1;
}

/* Asks, and reads the answer without an echo; signals are noted meanwhile. */
static ssize_t
ask(int terminal, const char *user, char *line, size_t size)
{
	const struct sigaction note = { .sa_handler = note_signal };
	struct sigaction before[INTERRUPTING];
	struct termios shown, hidden;
	sigset_t blocked, open;
	ssize_t len = -1;

	sigemptyset(&blocked);
	for (size_t i = 0; i < INTERRUPTING; i++)
		sigaddset(&blocked, interrupting[i]);
	(void)sigmask_change(SIG_BLOCK, &blocked, &open);
	for (size_t i = 0; i < INTERRUPTING; i++)
		sigaction(interrupting[i], &note, &before[i]);
	if (tcgetattr(terminal, &shown) == 0) {
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(terminal, TCSAFLUSH, &hidden);
		/* Now, for what is typed from the question on must neither be shown nor lost. */
		dprintf(terminal, "Password of %s for etcd: ", user);
		len = read_line(terminal, line, size, &open);
		tcsetattr(terminal, TCSAFLUSH, &shown);
		if (write(terminal, "\n", 1) == -1)
			len = -1;
	}
	for (size_t i = 0; i < INTERRUPTING; i++)
		sigaction(interrupting[i], &before[i], NULL);
	(void)sigmask_change(SIG_SETMASK, &open, NULL);
	return len;
}

int
password_ask(struct options *options, char why[OPTIONS_WHY])
{
	const char *user = etcdlock_config_wants_password(options->config);
	char line[SECRET_MAX + 1], wrong[256];
	int terminal, result = -1;

	if (user == NULL)
		return 0;
	terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (terminal == -1) {
		snprintf(why, OPTIONS_WHY,
		    "user '%.64s' needs a password: say --password-file FILE or set ETCD_LOCK_PASSWORD, for there is "
		    "no terminal to ask on",
		    user);
		return -1;
	}
	caught = 0;
	if (ask(terminal, user, line, sizeof(line)) == -1)
		snprintf(why, OPTIONS_WHY, "no password was given for user '%.64s'", user);
	else if (etcdlock_config_set(options->config, "password", line, wrong, sizeof(wrong)) == -1)
		snprintf(why, OPTIONS_WHY, "the password of user '%.64s': %s", user, wrong);
	else
		result = 0;
	explicit_bzero(line, sizeof(line));
	close(terminal);
	if (caught != 0)
		raise(caught);
	return result;
}

/* The part of a variable's value that is secret: all of it, or what is behind a ':'. In place, for that is where ps(1)
 * and a core dump would find it. */
static void
wipe(const char *name, bool pair)
{
	char *value = getenv(name), *secret = value;

	if (value != NULL && pair)
		secret = strchr(value, ':');
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	if (!pair)
		unsetenv(name);
}

void
password_hide(const struct options *options)
{
	wipe("ETCD_LOCK_PASSWORD", false);
	wipe("ETCDCTL_PASSWORD", false);
	wipe("ETCD_LOCK_USER", true);
	wipe("ETCDCTL_USER", true);
	if (etcdlock_config_user(options->config) != NULL)
		prctl(PR_SET_DUMPABLE, 0);
}
