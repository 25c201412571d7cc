/* Simulated processes: a coroutine each, that is interrupted wherever it calls the system, and can be killed, stopped
 * and starved there. COMMAND and what it starts are processes without a coroutine. */
#ifndef T_SIM_PROC_H
#define T_SIM_PROC_H

#include "world.h"

#include <signal.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <ucontext.h>

struct node;
struct file;
struct http;

/* A machine: its clocks. Parts per million that they are ahead of true time. */
struct host {
	int number;
	nsec boot_base, raw_base;
	int64_t boot_ppm, raw_ppm;
};

enum proc_kind { PROC_SENTINEL, PROC_SUPERVISOR, PROC_KEEPER, PROC_HELPER, PROC_COMMAND };

#define PROC_FDS 24
#define PROC_FIRST_FD 1000

/* What malloc() has given out, before the block. */
struct block {
	TAILQ_ENTRY(block) link;
	struct proc *owner; /* NULL: the world */
	size_t size;
};

struct proc {
	pid_t pid, group;
	enum proc_kind kind;
	struct host *host;
	struct node *node;
	struct proc *parent; /* NULL: none that would know of it */
	bool subreaper, kernel_reaps;
	int death_signal; /* that it gets when its parent dies; 0: none */

	bool dead;      /* a zombie */
	bool forgotten; /* likewise, and nobody will ask how it ended */
	int status;     /* then, as wait(2) has it */
	bool stopped;   /* by SIGSTOP */
	nsec starved;   /* it does not run before */
	struct alarm death;

	/* Of those with a coroutine. */
	ucontext_t context, *back;
	char *stack;
	bool started, waits; /* it sleeps in poll(2), or in wait(2) */
	void (*run)(void *arg);
	void *arg;
	struct alarm resume, timeout, last_resort;
	bool timed_out;
	struct file *fds[PROC_FDS];
	int pending[NSIG]; /* signals for its signalfd */
	TAILQ_HEAD(, block) blocks;
	TAILQ_HEAD(, http) engines;
	bool starves; /* some of its allocations fail */
	void *fiber;  /* for the address sanitizer */

	/* Of those of COMMAND: what they do next, and when they end by themselves. */
	struct alarm plan;
	nsec ends;
	bool obeys; /* it ends when it is told to */
	TAILQ_ENTRY(proc) link;
};

/* The one that runs; NULL: the world does. */
extern struct proc *current;

TAILQ_HEAD(procs, proc);
extern struct procs procs;

void procs_begin(void);

/* A new one, child of PARENT (NULL: of nobody). RUN: what it does, from the next moment on; it must not return. NULL:
 * it has no coroutine. */
struct proc *proc_new(enum proc_kind kind, struct proc *parent, void (*run)(void *arg), void *arg);

/* It goes on, after DELAY; if it sleeps it wakes up. */
void proc_wake(struct proc *proc, nsec delay);

/* Runs it right now, until it sleeps or is interrupted. */
void proc_switch(struct proc *proc);

/* The current one sleeps until it is woken, at most until UNTIL on its host's boot clock. False where that is why it
 * woke. */
bool proc_sleep(nsec until);

/* A point where the current one can be interrupted: mostly nothing happens, or a little time passes. */
void proc_interrupt(void);

/* It gets a signal. */
void proc_signal(struct proc *proc, int signo);

/* It is dead from now on. Where it is the current one, this does not return. */
void proc_die(struct proc *proc, int status);

/* A dead one is forgotten. */
void proc_reap(struct proc *proc);

struct proc *proc_find(pid_t pid);

/* One that is alive, or dead and not reaped. */
bool proc_has_child(const struct proc *proc);

/* The clocks of HOST at true time T; and the other way round. */
nsec host_boot(const struct host *host, nsec t);
nsec host_raw(const struct host *host, nsec t);
nsec host_true(const struct host *host, nsec boot);

#endif
