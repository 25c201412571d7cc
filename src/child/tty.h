/* The terminal's foreground: handed to COMMAND, taken back afterwards. */
#ifndef CHILD_TTY_H
#define CHILD_TTY_H

#include <stdbool.h>
#include <sys/types.h>

/* Our controlling terminal as a new close-on-exec descriptor, or -1 where there is none. */
int tty_open(void);

/* True where our process group is in the foreground of TTY. False for -1. */
bool tty_is_ours(int tty);

/* Put the process group GROUP into the foreground of TTY; a terminal that has gone is ignored. */
void tty_give(int tty, pid_t group);

#endif
