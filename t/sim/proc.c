#include "proc.h"

#include "child/tree.h"
#include "heap.h"
#include "kernel.h"
#include "net.h"
#include "node.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define STACK ((size_t)1 << 20)
#else
#define STACK ((size_t)256 << 10)
#endif

/* What the exit of a process takes, after SIGKILL; and where it is to be long, which a key that was deleted shows. */
#define DEATH_LEAST (20 * NSEC_PER_MSEC / 1000)
#define DEATH_MOST (8 * NSEC_PER_MSEC)
#define DEATH_SLOW (60 * NSEC_PER_MSEC)

/* From being woken to running. */
#define WAKE_LEAST 2000
#define WAKE_MOST (4 * NSEC_PER_MSEC)

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);

struct proc *current;
struct procs procs;

static ucontext_t outside;
static pid_t last_pid;
static char *pool[64];
static size_t pooled;

/* --- clocks --- */

static nsec
scaled(nsec t, int64_t ppm)
{
	return t + (nsec)((__int128)t * ppm / 1000000);
}

nsec
host_boot(const struct host *host, nsec t)
{
	return host->boot_base + scaled(t, host->boot_ppm);
}

nsec
host_raw(const struct host *host, nsec t)
{
	return host->raw_base + scaled(t, host->raw_ppm);
}

nsec
host_true(const struct host *host, nsec boot)
{
	nsec t;

	if (boot > NSEC_NEVER / 2)
		return NSEC_NEVER;
	t = (nsec)((__int128)(boot - host->boot_base) * 1000000 / (1000000 + host->boot_ppm));
	while (host_boot(host, t) < boot)
		t++;
	return t;
}

/* --- coroutines --- */

static char *
stack_get(void)
{
	char *stack;

	if (pooled > 0)
		return pool[--pooled];
	stack = __real_mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stack == MAP_FAILED)
		abort();
	return stack;
}

static void
stack_put(char *stack)
{
	if (stack == NULL)
		return;
	if (pooled < sizeof(pool) / sizeof(pool[0]))
		pool[pooled++] = stack;
	else
		__real_munmap(stack, STACK);
}

static void
change(ucontext_t *from, ucontext_t *to, struct proc *next, void **fiber)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(fiber, next == NULL ? NULL : next->stack, next == NULL ? 0 : STACK);
#else
	(void)next;
	(void)fiber;
#endif
	swapcontext(from, to);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(fiber == NULL ? NULL : *fiber, NULL, NULL);
#endif
}

static void
enter(void)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
	current->run(current->arg);
	abort();
}

/* The current one goes on later, or never. */
static void
leave_off(void)
{
	struct proc *self = current;

	change(&self->context, self->back, NULL, self->dead ? NULL : &self->fiber);
}

void
proc_switch(struct proc *proc)
{
	struct proc *before = current;
	ucontext_t here, *mine = before == NULL ? &outside : &here;
	void *fiber = NULL;

	proc->back = mine;
	current = proc;
	if (!proc->started) {
		proc->started = true;
		proc->stack = stack_get();
		getcontext(&proc->context);
		proc->context.uc_stack.ss_sp = proc->stack;
		proc->context.uc_stack.ss_size = STACK;
		proc->context.uc_link = NULL;
		makecontext(&proc->context, enter, 0);
	}
	change(mine, &proc->context, proc, &fiber);
	current = before;
	if (!proc->dead)
		return;
	stack_put(proc->stack);
	proc->stack = NULL;
	if (proc->forgotten)
		proc_reap(proc);
}

static void
on_resume(void *arg)
{
	struct proc *proc = arg;

	if (proc->stopped)
		return;
	if (proc->starved > world.now) {
		alarm_set(&proc->resume, proc->starved);
		return;
	}
	alarm_stop(&proc->timeout);
	proc->waits = false;
	proc_switch(proc);
}

void
proc_wake(struct proc *proc, nsec delay)
{
	nsec at = world.now + delay;

	if (proc->dead || proc->run == NULL || (proc->resume.slot != 0 && proc->resume.at <= at))
		return;
	alarm_set(&proc->resume, at);
}

static void
on_timeout(void *arg)
{
	struct proc *proc = arg;

	proc->timed_out = true;
	proc_wake(proc, some_span(WAKE_LEAST, WAKE_MOST));
}

bool
proc_sleep(nsec until)
{
	struct proc *self = current;

	self->waits = true;
	self->timed_out = false;
	if (until != NSEC_NEVER)
		alarm_set(&self->timeout, host_true(self->host, until));
	leave_off();
	return !self->timed_out;
}

void
proc_interrupt(void)
{
	struct proc *self = current;

	if (self == NULL)
		return;
	if (self->starved <= world.now && !self->stopped && !one_in(24))
		return;
	proc_wake(self,
	    one_in(habits.dozes ? 10 : 200) ? some_span(NSEC_PER_MSEC, (habits.dozes ? 30 : 5) * NSEC_PER_MSEC)
					    : between(500, 60000));
	leave_off();
}

/* --- life and death --- */

struct proc *
proc_find(pid_t pid)
{
	struct proc *proc;

	TAILQ_FOREACH(proc, &procs, link)
	if (proc->pid == pid)
		return proc;
	return NULL;
}

bool
proc_has_child(const struct proc *proc)
{
	struct proc *child;

	TAILQ_FOREACH(child, &procs, link)
	if (child->parent == proc)
		return true;
	return false;
}

void
proc_reap(struct proc *proc)
{
	TAILQ_REMOVE(&procs, proc, link);
	free(proc);
}

static void
on_death(void *arg)
{
	proc_die(arg, SIGKILL);
}

static void
on_last_resort(void *arg)
{
	struct proc *proc = arg;

	note("%d: the kernel's timer", proc->pid);
	proc_signal(proc, SIGKILL);
}

struct proc *
proc_new(enum proc_kind kind, struct proc *parent, void (*run)(void *arg), void *arg)
{
	struct proc *proc = calloc(1, sizeof(*proc));

	if (proc == NULL)
		abort();
	proc->kind = kind;
	proc->pid = proc->group = ++last_pid;
	proc->parent = parent;
	if (parent != NULL) {
		proc->host = parent->host;
		proc->node = parent->node;
	}
	proc->run = run;
	proc->arg = arg;
	proc->resume = (struct alarm){ .ring = on_resume, .arg = proc };
	proc->timeout = (struct alarm){ .ring = on_timeout, .arg = proc };
	proc->death = (struct alarm){ .ring = on_death, .arg = proc };
	proc->last_resort = (struct alarm){ .ring = on_last_resort, .arg = proc };
	TAILQ_INIT(&proc->blocks);
	TAILQ_INIT(&proc->engines);
	TAILQ_INSERT_TAIL(&procs, proc, link);
	return proc;
}

void
proc_signal(struct proc *proc, int signo)
{
	if (proc->dead || signo == 0)
		return;
	switch (signo) {
	case SIGKILL:
		if (proc->death.slot == 0) {
			alarm_set(
			    &proc->death, world.now + some_span(DEATH_LEAST, habits.deletes ? DEATH_SLOW : DEATH_MOST));
			/* It runs no more meanwhile, but it is there. */
			proc->stopped = true;
		}
		break;
	case SIGSTOP:
		proc->stopped = true;
		break;
	case SIGCONT:
		if (proc->death.slot == 0)
			proc->stopped = false;
		proc_wake(proc, some_span(WAKE_LEAST, WAKE_MOST));
		break;
	default:
		proc->pending[signo]++;
		kernel_signalled(proc);
		break;
	}
	if (proc->kind == PROC_COMMAND)
		node_command_signalled(proc, signo);
}

/* Who has the children of PROC when it is gone. */
static struct proc *
heir(const struct proc *proc)
{
	struct proc *above = proc->parent;

	while (above != NULL && (above->dead || !above->subreaper))
		above = above->parent;
	return above;
}

static void
leave_children(struct proc *proc)
{
	struct proc *child, *next, *parent = heir(proc);

	for (child = TAILQ_FIRST(&procs); child != NULL; child = next) {
		next = TAILQ_NEXT(child, link);
		if (child->parent != proc)
			continue;
		child->parent = parent;
		if (child->death_signal != 0)
			proc_signal(child, child->death_signal);
		if (!child->dead)
			continue;
		if (parent == NULL || parent->kernel_reaps)
			proc_reap(child);
		else
			proc_signal(parent, SIGCHLD);
	}
}

void
proc_die(struct proc *proc, int status)
{
	struct proc *parent = proc->parent;
	bool own = proc == current;

	note("%d: dead, status %d", proc->pid, status);
	proc->dead = true;
	proc->status = status;
	alarm_stop(&proc->resume);
	alarm_stop(&proc->timeout);
	alarm_stop(&proc->death);
	alarm_stop(&proc->last_resort);
	alarm_stop(&proc->plan);
	net_process_gone(proc);
	kernel_close_all(proc);
	node_process_gone(proc);
	heap_free_all(proc);
	leave_children(proc);
	if (!own) {
		stack_put(proc->stack);
		proc->stack = NULL;
	}
	if (parent != NULL && !parent->kernel_reaps)
		proc_signal(parent, SIGCHLD);
	else if (own)
		proc->forgotten = true;
	else
		proc_reap(proc);
	if (own)
		leave_off();
}

void
procs_begin(void)
{
	struct proc any = { 0 };

	TAILQ_INIT(&procs);
	last_pid = 100;
	/* What child/tree.c remembers is not of the last world. */
	current = &any;
	tree_leave_dead(false);
	current = NULL;
}
