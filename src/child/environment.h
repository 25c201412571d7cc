/* COMMAND's environment: what it gets beside ours, and what is taken away. */
#ifndef CHILD_ENVIRONMENT_H
#define CHILD_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/* The most changes of one environment. */
#define ENVIRONMENT_CHANGES 16

/* Zero it. Its builder need not look at each step: a change for which there is no memory, or no room, makes it
 * FAILED. */
struct environment {
	char *changes[ENVIRONMENT_CHANGES]; /* "NAME=VALUE" replaces or adds a variable, "NAME" takes it away */
	size_t count;
	bool own_pid; /* the last one is "NAME=", and gets COMMAND's pid */
	bool failed;
};

/* NAME=VALUE, from a printf() format; or "NAME", which takes it away. Not after environment_set_pid(). */
__attribute__((format(printf, 2, 3))) void environment_set(struct environment *environment, const char *format, ...);

/* NAME is COMMAND's own pid: once, at last. */
void environment_set_pid(struct environment *environment, const char *name);

void environment_free(struct environment *environment);

/* Our own environment with CHANGES (COUNT of them), whose strings are borrowed. A new block, for free(); NULL when
 * memory is short. */
char **environment_block(char *const changes[], size_t count);

#endif
