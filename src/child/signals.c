#include "child/signals.h"

#include "base/sigmask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>

/* The kernel's first real-time signal, and the first that programs have: RTMIN is glibc's 34 with musl, too, which
 * keeps it to itself, for it is others who send it and COMMAND that it is for. */
#define LIBRARY_FIRST 32
#define RT_FIRST 34
#define RT_LAST 64

/* As kill(1) has them. */
static const char *const names[] = {
	[SIGHUP] = "HUP",
	[SIGINT] = "INT",
	[SIGQUIT] = "QUIT",
	[SIGILL] = "ILL",
	[SIGTRAP] = "TRAP",
	[SIGABRT] = "ABRT",
	[SIGBUS] = "BUS",
	[SIGFPE] = "FPE",
	[SIGKILL] = "KILL",
	[SIGUSR1] = "USR1",
	[SIGSEGV] = "SEGV",
	[SIGUSR2] = "USR2",
	[SIGPIPE] = "PIPE",
	[SIGALRM] = "ALRM",
	[SIGTERM] = "TERM",
	[SIGSTKFLT] = "STKFLT",
	[SIGCHLD] = "CHLD",
	[SIGCONT] = "CONT",
	[SIGSTOP] = "STOP",
	[SIGTSTP] = "TSTP",
	[SIGTTIN] = "TTIN",
	[SIGTTOU] = "TTOU",
	[SIGURG] = "URG",
	[SIGXCPU] = "XCPU",
	[SIGXFSZ] = "XFSZ",
	[SIGVTALRM] = "VTALRM",
	[SIGPROF] = "PROF",
	[SIGWINCH] = "WINCH",
	[SIGPOLL] = "POLL",
	[SIGPWR] = "PWR",
	[SIGSYS] = "SYS",
};
#define NAMES ((int)(sizeof(names) / sizeof(names[0])))

/* Blocked, a fault would repeat for ever instead of killing us. */
static const int faults[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS };

static void
waiting_set(sigset_t *set)
{
	sigfillset(set);
	sigmask_add(set, RT_FIRST);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(set, faults[i]);
}

/* The mask that we were started with. OpenSSL has a constructor on arm64 that saves and restores it, and so, with musl,
 * takes RTMIN out of it: this one comes before. */
static sigset_t inherited;

__attribute__((constructor(101))) static void
note_inherited(void)
{
	(void)sigmask_change(SIG_BLOCK, NULL, &inherited);
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
	if (sigmask_change(SIG_SETMASK, &waiting, &saved->mask) == -1 ||
	    sigaction(SIGCHLD, &standard, &saved->child) == -1 || sigaction(SIGPIPE, &ignore, &saved->pipe) == -1)
		return -1;
	if (sigismember(&inherited, RT_FIRST) == 1)
		sigmask_add(&saved->mask, RT_FIRST);
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
	(void)sigmask_change(SIG_SETMASK, &saved->mask, NULL);
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
	const char *name = signo > 0 && signo < NAMES ? names[signo] : NULL;

	if (name != NULL)
		snprintf(buf, SIGNAL_NAME, "%s", name);
	else if (signo >= RT_FIRST && signo <= RT_LAST)
		snprintf(buf, SIGNAL_NAME, "RTMIN+%d", signo - RT_FIRST);
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
		return (number >= 1 && number < LIBRARY_FIRST) || (number >= RT_FIRST && number <= RT_LAST)
		    ? (int)number
		    : -1;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int signo = 1; signo <= RT_LAST; signo++)
		if (strcasecmp(signal_name(signo, name), text) == 0)
			return signo;
	return strcasecmp(text, "RTMIN") == 0 ? RT_FIRST : strcasecmp(text, "RTMAX") == 0 ? RT_LAST : -1;
}
