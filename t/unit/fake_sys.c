#include "fake_sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define PROCESSES 64

static struct process table[PROCESSES];
static int count;
static bool kernel_reaps;

void (*sys_on_open)(pid_t pid);

void
sys_clear(void)
{
	count = 0;
	kernel_reaps = false;
	sys_on_open = NULL;
}

struct process *
sys_add(pid_t pid, pid_t parent)
{
	if (count == PROCESSES)
		abort();
	table[count] = (struct process){ .pid = pid, .parent = parent, .state = 'S' };
	return &table[count++];
}

struct process *
sys_find(pid_t pid)
{
	for (int i = 0; i < count; i++)
		if (table[i].pid == pid && table[i].state != 0)
			return &table[i];
	return NULL;
}

int
sys_living(void)
{
	int living = 0;

	for (int i = 0; i < count; i++)
		living += table[i].state != 0 && table[i].state != 'Z';
	return living;
}

/* Its children are ours from now on. */
static void
die(struct process *process)
{
	process->state = kernel_reaps && process->parent == SELF && process->tracer == 0 ? 0 : 'Z';
	for (int i = 0; i < count; i++)
		if (table[i].parent == process->pid && table[i].state != 0)
			table[i].parent = SELF;
}

static int
deliver(struct process *process, int signo)
{
	if (process->foreign) {
		errno = EPERM;
		return -1;
	}
	if (signo == 0)
		return 0;
	process->signals++;
	process->last = signo;
	for (int i = 0, had = count; i < had; i++) {
		if (table[i].parent != process->pid || table[i].forks == 0 || table[i].stopped || table[i].state != 'S')
			continue;
		sys_add(table[i].forks, table[i].pid);
		table[i].forks = 0;
	}
	process->stopped = process->stopped || signo == SIGSTOP;
	if (signo == SIGKILL && !process->deaf && process->state != 'Z')
		die(process);
	return 0;
}

/* --- as child/sys.h has it --- */

int
sys_kill(pid_t pid, int signo)
{
	struct process *process = sys_find(pid < 0 ? -pid : pid);

	if (process != NULL)
		return deliver(process, signo);
	errno = ESRCH;
	return -1;
}

pid_t
sys_wait(int *status, int flags)
{
	bool any = false;

	(void)flags;
	for (int i = 0; i < count; i++) {
		if (table[i].parent != SELF || table[i].state == 0)
			continue;
		any = true;
		if (table[i].state != 'Z' || table[i].tracer != 0)
			continue;
		table[i].state = 0;
		if (status != NULL)
			*status = SIGKILL;
		return table[i].pid;
	}
	if (!any)
		errno = ECHILD;
	return any ? 0 : -1;
}

int
sys_pidfd_open(pid_t pid)
{
	struct process *process;

	if (sys_on_open != NULL)
		sys_on_open(pid);
	process = sys_find(pid);
	return process == NULL ? -1 : (int)(process - table);
}

void
sys_pidfd_close(int fd)
{
	(void)fd;
}

int
sys_pidfd_signal(int fd, int signo)
{
	return deliver(&table[fd], signo);
}

bool
sys_pidfd_is_child(int fd, bool *ended)
{
	*ended = table[fd].state == 'Z';
	return table[fd].parent == SELF;
}

pid_t
sys_self(void)
{
	return SELF;
}

void
sys_leave_dead(bool to_kernel)
{
	kernel_reaps = to_kernel;
}

/* --- as child/proc.h has it --- */

static void
each_below(pid_t parent, bool (*visit)(void *arg, pid_t pid, pid_t parent), void *arg)
{
	for (int i = 0; i < count; i++)
		if (table[i].state != 0 && table[i].parent == parent && visit(arg, table[i].pid, parent))
			each_below(table[i].pid, visit, arg);
}

int
proc_each_descendant(bool (*visit)(void *arg, pid_t pid, pid_t parent), void *arg)
{
	each_below(SELF, visit, arg);
	return 0;
}

pid_t
proc_parent(pid_t pid)
{
	const struct process *process = sys_find(pid);

	return process == NULL ? 0 : process->parent;
}

char
proc_state(pid_t pid)
{
	const struct process *process = sys_find(pid);

	return process == NULL ? 0 : process->state;
}

void
proc_name(pid_t pid, char *name, size_t size)
{
	snprintf(name, size, "p%d", (int)pid);
}

bool
proc_user(pid_t pid, unsigned *user)
{
	*user = 7;
	return sys_find(pid) != NULL;
}

int
proc_threads(pid_t pid)
{
	return sys_find(pid) != NULL;
}

pid_t
proc_tracer(pid_t pid)
{
	const struct process *process = sys_find(pid);

	return process == NULL ? 0 : process->tracer;
}
