/* The terminal's foreground: handed to COMMAND, taken back afterwards. */
#ifndef CHILD_TTY_H
#define CHILD_TTY_H

#include "base/loop.h"
#include "child/keeper.h"

#include <stdbool.h>
#include <sys/types.h>

/* Our controlling terminal as a new close-on-exec descriptor, or -1 where there is none. */
int tty_open(void);

/* Take the foreground of TTY (-1: there is none) from GROUP, or from a group that does not exist any more, to the group
 * HOME; where somebody else has it by now, leave it. */
void tty_take_back(int tty, pid_t group, pid_t home);

/* The terminal, as long as COMMAND runs. */
struct tty {
	int fd;       /* -1: none */
	bool had;     /* there was one when we began */
	bool given;   /* COMMAND has had the foreground */
	pid_t home;   /* the process group that we were started in, and that has the terminal while COMMAND has not */
	pid_t leader; /* COMMAND, and its process group; 0: not started, or gone */
	struct loop *loop;
	const struct keeper *keeper;
	struct timer look;
};

/* For the commands of KEEPER. No terminal is open yet. */
void tty_init(struct tty *tty, struct loop *loop, const struct keeper *keeper, pid_t home);

/* Open the terminal. Returns the descriptor where COMMAND is to start in the foreground: HOME is there, and stdin and
 * stdout are the terminal. In a pipeline, or in the background of a script, others of our group might want it as well:
 * there COMMAND gets it when it asks for it. Else -1. */
int tty_for_start(struct tty *tty);

/* COMMAND was stopped by SIGNO. Where that is about the terminal it goes on, at once or when our group is brought to
 * the foreground: stopped, it would keep the lock from others, and we cannot stop with it. True where Ctrl-Z was
 * undone. */
bool tty_on_stopped(struct tty *tty, int signo);

/* COMMAND has ended with STATUS (of wait(2)). The signal, where that was one of the keyboard's, which reach only the
 * foreground, and so not us, or a hang-up, and the terminal is gone; else 0. An exit status of 128 + signal counts, as
 * a shell has it. */
int tty_typed(const struct tty *tty, int status);

/* COMMAND is gone. */
void tty_on_ended(struct tty *tty);

/* Close it. */
void tty_close(struct tty *tty);

#endif
