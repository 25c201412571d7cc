/* Signals: taken through a descriptor by us, handed to COMMAND as we found them. */
#ifndef CHILD_SIGNALS_H
#define CHILD_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* What we were started with, and COMMAND is to be started with. */
struct signal_state {
	sigset_t mask;
	sigset_t ignored; /* nohup(1), and shells for what they put into the background, ignore signals */
	struct sigaction child, pipe;
};

/* Save the state; block everything that can wait, ignore SIGPIPE, have SIGCHLD at its default (inherited as ignored
 * it would hide every end of a child). Call it before there is a thread. Returns 0, or -1 with errno. */
__attribute__((warn_unused_result)) int signals_take(struct signal_state *saved);

/* A non-blocking, close-on-exec signalfd(2) for all that signals_take() blocks. -1 with errno. */
__attribute__((warn_unused_result)) int signals_open(void);

/* Put back what signals_take() saved: dispositions, then the mask. Async-signal-safe, for a child before exec. */
void signals_restore(const struct signal_state *saved);

/* True for the signals that we never pass on: those about ourselves. */
bool signals_are_ours(int signo);

/* False for the signals whose default is to stop, to continue, or nothing at all. */
bool signal_can_end(int signo);

/* True for what ends a program that does not expect it, a stop signal apart: an alarm(2) that was set before the exec
 * is the classic limit. */
bool signal_ends_waiter(int signo);

/* "TERM", "RTMIN+2" for a number; the number for what has no name. Returns BUF. */
#define SIGNAL_NAME 16
const char *signal_name(int signo, char buf[SIGNAL_NAME]);

/* The number for "TERM", "SIGTERM", "15", "RTMIN+2" in upper or lower case; -1 for anything else. */
int signal_parse(const char *text);

#endif
