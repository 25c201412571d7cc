/* COMMAND and everything that it started: signalling and reaping all of it.
 *
 * We are a child subreaper, so whatever COMMAND leaves behind becomes our child: when waitpid(2) says ECHILD,
 * everything is dead. */
#ifndef CHILD_TREE_H
#define CHILD_TREE_H

#include "base/log.h"
#include "child/cgroup.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tree {
	pid_t leader; /* COMMAND; its group has the same id. 0: not started */
	bool reaped;  /* COMMAND itself is gone */
	const struct cgroup *cgroup;
	const struct logger *log;
};

/* What waitpid(2) told. */
enum tree_news {
	TREE_NOTHING, /* nothing more for now */
	TREE_LEADER,  /* COMMAND has ended: *STATUS */
	TREE_STOPPED, /* COMMAND is stopped: *STATUS */
	TREE_OTHER,   /* a descendant has ended */
	TREE_EMPTY    /* no process of the tree is left */
};

/* Become the subreaper of what is started later. Returns 0, or -1 with errno. */
__attribute__((warn_unused_result)) int tree_adopt(void);

/* The next piece of news; call it until it says TREE_NOTHING or TREE_EMPTY. */
enum tree_news tree_wait(struct tree *tree, int *status);

/* Send SIGNO to COMMAND; where it ASKS_TO_END, followed by CONT, for a stopped process gets nothing else. */
void tree_signal_leader(struct tree *tree, int signo, bool asks_to_end);

/* Send SIGNO to every process of the tree: the group and every descendant found under /proc. Returns how many
 * were found outside the group. */

/* Send SIGNO to every process of the tree: the group, and every descendant of ours found under /proc. */
void tree_signal_all(struct tree *tree, int signo);

/* Processes that are to be left alone, with all that is below them. */
struct tree_strangers {
	pid_t pids[64];
	size_t count;
};

/* Call FOUND for every process below us but STRANGERS (NULL: none). Needs no memory. Returns 0, or -1 where there is no
 * /proc of our own pid namespace. */
int tree_each_descendant(const struct tree_strangers *strangers, void (*found)(void *arg, pid_t pid), void *arg);

#endif
