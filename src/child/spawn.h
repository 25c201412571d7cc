/* Starting COMMAND so that it sees what it would have seen without us. */
#ifndef CHILD_SPAWN_H
#define CHILD_SPAWN_H

#include "child/cgroup.h"
#include "child/signals.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a child was doing when it could not go on. */
enum spawn_stage { SPAWN_GROUP, SPAWN_PARENT, SPAWN_DESCRIPTORS, SPAWN_EXEC };

/* What comes over the report pipe where COMMAND could not be started. */
struct spawn_failure {
	enum spawn_stage stage;
	int errnum;
};

/* A descriptor of ours, FROM (above SPAWN_PASS_MAX), that COMMAND gets as TO (up to SPAWN_PASS_MAX). */
struct spawn_pass {
	int from, to;
};
#define SPAWN_PASS_MAX 63

/* Digits of a pid, and a NUL. */
#define SPAWN_PID 11

struct spawn {
	char *const *argv; /* argv[0] is looked up in PATH, as execvp(3) does */
	char *const *envp;
	const struct signal_state *signals; /* what COMMAND is to have */
	const struct cgroup *cgroup;        /* to be in */
	const struct spawn_pass *pass;      /* PASS_COUNT of them */
	size_t pass_count;
	char *own_pid; /* a place in ENVP for SPAWN_PID bytes, which get COMMAND's pid; or NULL */
	int tty;       /* the terminal to be in the foreground of, or -1 */
};

/* Fork and exec. Returns the pid, leader of a process group of its own, and in *REPORT a non-blocking descriptor:
 * end of file on it means that the exec has worked, a struct spawn_failure why not. Returns -1 with errno where not
 * even a process could be made. The child dies with the calling thread. */
__attribute__((warn_unused_result)) pid_t spawn_start(const struct spawn *spawn, int *report);

/* "executing" and the like, for a message with the errno. */
const char *spawn_stage_text(enum spawn_stage stage);

#endif
