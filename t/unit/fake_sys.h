/* Processes that are not there: a table in place of the kernel's, for child/sys.h and child/proc.h. We are process 100,
 * and a subreaper. */
#ifndef T_UNIT_FAKE_SYS_H
#define T_UNIT_FAKE_SYS_H

#include "child/proc.h"
#include "child/sys.h"

#define SELF 100

struct process {
	pid_t pid, parent;
	char state;   /* as in proc(5); 'Z': dead, and not reaped; 0: no such process */
	bool stopped; /* by SIGSTOP */
	bool deaf;    /* SIGKILL does not end it */
	bool foreign; /* of another user: it cannot be signalled */
	pid_t tracer;
	pid_t forks; /* the first signal that its parent gets has it start one of this number; 0: it does not */
	int signals; /* that it got */
	int last;    /* the last of them */
};

/* Forget all processes. */
void sys_clear(void);

/* One more, alive. It stays where it is until sys_clear(). */
struct process *sys_add(pid_t pid, pid_t parent);

/* The living, or the dead that are not reaped, of that number; NULL: there is none. */
struct process *sys_find(pid_t pid);

/* How many are alive. */
int sys_living(void);

/* Called when a pidfd was opened: what happens between a look and a signal. NULL: nothing. */
extern void (*sys_on_open)(pid_t pid);

#endif
