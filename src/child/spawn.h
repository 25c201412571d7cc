/* Starting COMMAND so that it sees what it would have seen without us. */
#ifndef CHILD_SPAWN_H
#define CHILD_SPAWN_H

#include "child/signals.h"
#include "child/tree.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

/* What a child was doing when it could not go on. */
enum spawn_stage { SPAWN_PROCESS, SPAWN_GROUP, SPAWN_PARENT, SPAWN_DESCRIPTORS, SPAWN_EXEC };

/* Why COMMAND could not be started. */
struct spawn_failure {
	enum spawn_stage stage;
	int errnum; /* 0: it was started */
};

/* A descriptor of ours, FROM, that COMMAND gets as TO. */
struct spawn_pass {
	int from, to;
};

/* Digits of a pid, and a NUL. */
#define SPAWN_PID 11

struct spawn {
	char *const *argv; /* argv[0] is looked up in PATH, as execvp(3) does */
	char *const *envp;
	const struct signal_state *signals; /* what COMMAND is to have */
	int cgroup;                         /* a directory of cgroup v2 to be in, or -1 */
	const struct spawn_pass *pass;      /* PASS_COUNT of them, every FROM above every TO */
	size_t pass_count;
	char *own_pid;                /* a place in ENVP for SPAWN_PID bytes, which get COMMAND's pid; or NULL */
	int tty;                      /* the terminal to be in the foreground of, or -1 */
	const struct tree_pace *pace; /* how it is to be run */
	/* Both in memory that is shared with children: where COMMAND's pid goes before it runs, and what went wrong. */
	_Atomic pid_t *leader;
	struct spawn_failure *failure;
};

/* vfork(2) and exec; returns when one of them is over. Returns the pid, leader of a process group of its own, and in
 * *FAILURE whether it runs: where not, the child has exited. Returns -1 with errno where not even a process could be
 * made. The child dies with the calling thread. Not for a process with other threads. */
__attribute__((warn_unused_result)) pid_t spawn_start(const struct spawn *spawn);

/* "executing" and the like, for a message with the errno. */
const char *spawn_stage_text(enum spawn_stage stage);

#endif
