/* A control group (cgroup v2) for COMMAND, where we have one of our own to make it in: then one write kills everything
 * in it at once, whatever it forks meanwhile, and with or without /proc. See "cgroup.kill" in the kernel's
 * cgroup-v2.rst. */
#ifndef CHILD_CGROUP_H
#define CHILD_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

struct cgroup {
	int parent;    /* the directory of the cgroup that we are in; -1: there is none for COMMAND */
	int dir;       /* COMMAND's, where this process has made it; -1: it has not */
	int kill;      /* its cgroup.kill, likewise */
	char name[32]; /* below PARENT */
};

/* Find the cgroup that we are in, and see whether it is ours to change: in a cgroup namespace of its own, delegated to
 * us (the xattr trusted.delegate or user.delegate, as systemd sets it), or owned by our unprivileged user. */
void cgroup_find(struct cgroup *cgroup);

/* Make the one for COMMAND in it, once, here or in a child of the process that found it. False where that cannot be, or
 * where the kernel (< 5.14) cannot kill one: then the other ways of killing have to do. */
bool cgroup_make(struct cgroup *cgroup);

/* fork(2) into it, or where there is none, or no way into it, an ordinary one. The child may call async-signal-safe
 * functions only. Moving a process later would cost some 10 ms, for the kernel stops all forks meanwhile. */
pid_t cgroup_fork(const struct cgroup *cgroup);

/* As cgroup_make(), in place of one that is empty after cgroup_kill(): Linux kills what is forked into a cgroup that
 * was ever killed (seen in 6.18). */
bool cgroup_make_anew(struct cgroup *cgroup);

/* SIGKILL for everything in it, by who has made it; where nobody has, nothing. */
void cgroup_kill(const struct cgroup *cgroup);

/* The same by who has found where it is, and knows that it was made: without that, one of its name may be somebody
 * else's, who has our number in another pid namespace. */
void cgroup_kill_named(const struct cgroup *cgroup);

/* Remove it, if it is empty. */
void cgroup_remove(const struct cgroup *cgroup);

#endif
