/* A control group (cgroup v2) for COMMAND, where we have one of our own to make it in: then one write kills everything
 * in it at once, whatever it forks meanwhile, and with or without /proc. See "cgroup.kill" in the kernel's
 * cgroup-v2.rst. */
#ifndef CHILD_CGROUP_H
#define CHILD_CGROUP_H

#include <sys/types.h>

struct cgroup {
	int parent;    /* the directory of the cgroup that we are in; -1: there is none for COMMAND */
	int dir;       /* COMMAND's, where this process has made it; -1: it has not */
	int kill;      /* its cgroup.kill, likewise */
	pid_t owner;   /* who found PARENT: a part of the name */
	char name[40]; /* below PARENT */
};

/* Find the cgroup that we are in, and see whether it is ours to change: in a cgroup namespace of its own, delegated to
 * us (the xattr trusted.delegate or user.delegate, as systemd sets it), or owned by our unprivileged user. */
void cgroup_find(struct cgroup *cgroup);

/* Make one for COMMAND in it, here or in a child of the process that found it; what dead owners have left there is
 * killed and removed before. Returns its number, from 1 on, for cgroup_name(); 0 where there can be none, or where the
 * kernel (< 5.14) cannot kill one: then the other ways of killing have to do.
 *
 * As long as DIR, or a copy of it in another process (of the same open file description), is open, nobody takes the
 * cgroup for an abandoned one: it is locked, as flock(2) has it. */
int cgroup_make(struct cgroup *cgroup);

/* CGROUP is the cgroup that another process has made as NUMBER. */
void cgroup_name(struct cgroup *cgroup, int number);

/* vfork(2) into the cgroup that DIR is open on, or where that is -1, or there is no way into it, an ordinary one: the
 * child does RUN with ARG, which must not return, nor do what vfork(2) forbids. Returns when that has called exec(2) or
 * has ended: the child's id, or -1 with errno. Moving a process later would cost some 10 ms, for the kernel stops all
 * forks meanwhile. */
pid_t cgroup_vfork(int dir, void (*run)(void *arg), void *arg);

/* As cgroup_make(), in place of one that is empty after cgroup_kill(): Linux kills what is forked into a cgroup that
 * was ever killed (seen in 6.18). */
int cgroup_make_anew(struct cgroup *cgroup);

/* SIGKILL for everything in it, from the process that has made it. Where none was made, nothing happens. */
void cgroup_kill(const struct cgroup *cgroup);

/* The same for a process that knows its number, and has not made it. */
void cgroup_kill_named(const struct cgroup *cgroup);

/* Remove it with all that COMMAND has made in it, if all of that is empty. */
void cgroup_remove(const struct cgroup *cgroup);

#endif
