/* The system calls about processes, clocks and chance, as src/ has them (child/sys.h, child/proc.h, base/clock.h,
 * base/random.h), and those that it calls itself. */
#include "base/clock.h"
#include "base/random.h"
#include "child/cgroup.h"
#include "child/proc.h"
#include "child/spawn.h"
#include "child/sys.h"
#include "child/tree.h"
#include "heap.h"
#include "kernel.h"
#include "node.h"
#include "proc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* --- base/clock.h, base/random.h --- */

nsec
clock_now(void)
{
	if (current == NULL)
		return world.now;
	proc_interrupt();
	return host_boot(current->host, world.now);
}

struct moment
clock_moment(void)
{
	proc_interrupt();
	return (
	    struct moment){ .boot = host_boot(current->host, world.now), .raw = host_raw(current->host, world.now) };
}

bool
random_available(void)
{
	return true;
}

uint64_t
random_uint64(void)
{
	return chance();
}

/* --- child/sys.h --- */

pid_t
sys_self(void)
{
	return current->pid;
}

int
sys_kill(pid_t pid, int signo)
{
	struct proc *proc, *next;
	int hit = 0;

	proc_interrupt();
	/* -1 is for everything of a container's, which there is not here. */
	for (proc = TAILQ_FIRST(&procs); proc != NULL; proc = next) {
		next = TAILQ_NEXT(proc, link);
		if (pid == -1 || (pid > 0 ? proc->pid != pid : proc->group != -pid))
			continue;
		hit++;
		proc_signal(proc, signo);
	}
	errno = ESRCH;
	return hit > 0 ? 0 : -1;
}

pid_t
sys_wait(int *status, int flags)
{
	struct proc *child;

	(void)flags;
	TAILQ_FOREACH(child, &procs, link)
	{
		pid_t pid = child->pid;

		if (child->parent != current || !child->dead)
			continue;
		if (status != NULL)
			*status = child->status;
		proc_reap(child);
		return pid;
	}
	errno = ECHILD;
	return proc_has_child(current) ? 0 : -1;
}

int
sys_pidfd_open(pid_t pid)
{
	proc_interrupt();
	return proc_find(pid) == NULL ? -1 : (int)pid;
}

void
sys_pidfd_close(int fd)
{
	(void)fd;
}

int
sys_pidfd_signal(int fd, int signo)
{
	return sys_kill(fd, signo);
}

bool
sys_pidfd_is_child(int fd, bool *ended)
{
	const struct proc *proc = proc_find(fd);

	*ended = proc == NULL || proc->dead;
	return proc == NULL || proc->parent == current;
}

pid_t
sys_fork(void (*run)(void *arg), void *arg)
{
	struct proc *child = node_fork(run, arg);
	pid_t pid = child->pid;

	kernel_inherit(child, current);
	/* It takes what it needs of its parent's memory before anything else happens: there is no copy of that here. */
	proc_switch(child);
	proc_interrupt();
	return pid;
}

void
sys_leave_dead(bool to_kernel)
{
	current->kernel_reaps = to_kernel;
}

/* --- child/proc.h --- */

/* A look at /proc is none of one moment. */
static void
each_below(pid_t parent, bool (*visit)(void *arg, pid_t pid, pid_t parent), void *arg)
{
	pid_t found[64];
	size_t count = 0;
	struct proc *proc;

	TAILQ_FOREACH(proc, &procs, link)
	if (proc->parent != NULL && proc->parent->pid == parent && count < sizeof(found) / sizeof(found[0]))
		found[count++] = proc->pid;
	for (size_t i = 0; i < count; i++)
		if (visit(arg, found[i], parent))
			each_below(found[i], visit, arg);
}

int
proc_each_descendant(bool (*visit)(void *arg, pid_t pid, pid_t parent), void *arg)
{
	each_below(current->pid, visit, arg);
	return 0;
}

pid_t
proc_parent(pid_t pid)
{
	const struct proc *proc = proc_find(pid);

	return proc == NULL || proc->parent == NULL ? 0 : proc->parent->pid;
}

char
proc_state(pid_t pid)
{
	const struct proc *proc = proc_find(pid);

	if (proc == NULL)
		return 0;
	return proc->dead ? 'Z' : 'S';
}

void
proc_name(pid_t pid, char *name, size_t size)
{
	snprintf(name, size, "p%d", (int)pid);
}

bool
proc_user(pid_t pid, unsigned *user)
{
	*user = 0;
	return proc_find(pid) != NULL;
}

int
proc_threads(pid_t pid)
{
	return proc_find(pid) != NULL;
}

pid_t
proc_tracer(pid_t pid)
{
	(void)pid;
	return 0;
}

/* --- system calls --- */

pid_t __wrap_getpid(void);

pid_t
__wrap_getpid(void)
{
	return current == NULL ? 1 : current->pid;
}

pid_t __wrap_getpgrp(void);

pid_t
__wrap_getpgrp(void)
{
	return current->group;
}

int __wrap_setpgid(pid_t pid, pid_t group);

int
__wrap_setpgid(pid_t pid, pid_t group)
{
	(void)pid;
	(void)group;
	return 0;
}

int __wrap_prctl(int option, ...);

int
__wrap_prctl(int option, ...)
{
	va_list arguments;

	va_start(arguments, option);
	if (option == PR_SET_CHILD_SUBREAPER)
		current->subreaper = true;
	else if (option == PR_SET_PDEATHSIG)
		current->death_signal = (int)va_arg(arguments, long);
	va_end(arguments);
	return 0;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int flags);

/* For a child of which nothing else is to be known. */
pid_t
__wrap_waitpid(pid_t pid, int *status, int flags)
{
	struct proc *child;

	(void)status;
	(void)flags;
	while ((child = proc_find(pid)) != NULL && child->parent == current && !child->dead)
		(void)proc_sleep(host_boot(current->host, world.now) + 10 * NSEC_PER_MSEC);
	if (child == NULL || child->parent != current) {
		errno = ECHILD;
		return -1;
	}
	proc_reap(child);
	return pid;
}

int __wrap_waitid(int type, unsigned id, void *info, int flags);

int
__wrap_waitid(int type, unsigned id, void *info, int flags)
{
	(void)type;
	(void)id;
	(void)info;
	(void)flags;
	errno = ECHILD;
	return -1;
}

_Noreturn void __wrap__exit(int code);

_Noreturn void
__wrap__exit(int code)
{
	proc_die(current, code << 8);
	abort();
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

/* There is no terminal, and no other file. */
int
__wrap_open(const char *path, int flags, ...)
{
	if (current == NULL)
		return __real_open(path, flags);
	errno = ENXIO;
	return -1;
}

int __wrap_isatty(int fd);

int
__wrap_isatty(int fd)
{
	(void)fd;
	return 0;
}

int __wrap_chdir(const char *path);

int
__wrap_chdir(const char *path)
{
	(void)path;
	return 0;
}

void __wrap_descriptors_close_inherited(void);

void
__wrap_descriptors_close_inherited(void)
{
}

void __wrap_descriptors_close_ours(int kept);

/* In the keeper: it holds nobody's end of a pipe. */
void
__wrap_descriptors_close_ours(int kept)
{
	struct file *file = current->fds[kept - PROC_FIRST_FD];

	current->fds[kept - PROC_FIRST_FD] = NULL;
	kernel_close_all(current);
	current->fds[kept - PROC_FIRST_FD] = file;
}

struct tree_pace __wrap_tree_hurry(void);

struct tree_pace
__wrap_tree_hurry(void)
{
	return (struct tree_pace){ 0 };
}

void __wrap_cgroup_find(struct cgroup *cgroup);

void
__wrap_cgroup_find(struct cgroup *cgroup)
{
	*cgroup = (struct cgroup){ .parent = -1, .dir = -1, .kill = -1 };
}

pid_t __wrap_spawn_start(const struct spawn *spawn);

pid_t
__wrap_spawn_start(const struct spawn *spawn)
{
	proc_interrupt();
	return node_spawn(spawn);
}

void __wrap___gcov_dump(void);

/* What a simulated process has run is not recorded at its end. */
void
__wrap___gcov_dump(void)
{
}
