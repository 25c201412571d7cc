#include "child/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>

/* The kernel's first real-time signal. */
#define LIBRARY_FIRST 32

/* Blocked, a fault would repeat for ever instead of killing us. */
static const int faults[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS };

static void
waiting_set(sigset_t *set)
{
	sigfillset(set);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(set, faults[i]);
}

int
signals_take(struct signal_state *saved)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN }, standard = { .sa_handler = SIG_DFL };
	sigset_t waiting;

	sigemptyset(&saved->ignored);
	for (int signo = 1; signo < NSIG; signo++) {
		struct sigaction action;

		if (sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			sigaddset(&saved->ignored, signo);
	}
	waiting_set(&waiting);
	if (sigprocmask(SIG_SETMASK, &waiting, &saved->mask) == -1 ||
	    sigaction(SIGCHLD, &standard, &saved->child) == -1 || sigaction(SIGPIPE, &ignore, &saved->pipe) == -1)
		return -1;
	return 0;
}

int
signals_open(void)
{
	sigset_t waiting;

	waiting_set(&waiting);
	return signalfd(-1, &waiting, SFD_CLOEXEC | SFD_NONBLOCK);
}

void
signals_restore(const struct signal_state *saved)
{
	sigaction(SIGCHLD, &saved->child, NULL);
	sigaction(SIGPIPE, &saved->pipe, NULL);
	sigprocmask(SIG_SETMASK, &saved->mask, NULL);
}

bool
signals_are_ours(int signo)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (signo == faults[i])
			return true;
	return signo == SIGCHLD || signo == SIGPIPE;
}

bool
signal_can_end(int signo)
{
	static const int harmless[] = { SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGURG, SIGWINCH };

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (signo == harmless[i])
			return false;
	return true;
}

bool
signal_ends_waiter(int signo)
{
	static const int ending[] = { SIGHUP, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGUSR1, SIGUSR2 };

	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (signo == ending[i])
			return true;
	return false;
}

const char *
signal_name(int signo, char buf[SIGNAL_NAME])
{
	const char *name = signo >= SIGRTMIN ? NULL : sigabbrev_np(signo);

	if (name != NULL)
		snprintf(buf, SIGNAL_NAME, "%s", name);
	else if (signo >= SIGRTMIN && signo <= SIGRTMAX)
		snprintf(buf, SIGNAL_NAME, "RTMIN+%d", signo - SIGRTMIN);
	else
		snprintf(buf, SIGNAL_NAME, "%d", signo);
	return buf;
}

int
signal_parse(const char *text)
{
	char name[SIGNAL_NAME], *end;
	long number = strtol(text, &end, 10);

	/* The signals between the ordinary and the real-time ones are the C library's own. */
	if (end != text && *end == '\0')
		return (number >= 1 && number < LIBRARY_FIRST) || (number >= SIGRTMIN && number <= SIGRTMAX)
		    ? (int)number
		    : -1;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int signo = 1; signo <= SIGRTMAX; signo++)
		if (strcasecmp(signal_name(signo, name), text) == 0)
			return signo;
	return strcasecmp(text, "RTMIN") == 0 ? SIGRTMIN : strcasecmp(text, "RTMAX") == 0 ? SIGRTMAX : -1;
}
