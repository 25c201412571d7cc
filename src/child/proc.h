/* What /proc tells of processes (proc(5)). Nothing here needs memory. */
#ifndef CHILD_PROC_H
#define CHILD_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Call VISIT for every process below us, a parent before its children; where it returns false, what is below that
 * process is passed over. A process that moves meanwhile can be missed, or come twice. Returns 0, or -1 where there is
 * no /proc of our own pid namespace. Not for several threads at a time. */
int proc_each_descendant(bool (*visit)(void *arg, pid_t pid, pid_t parent), void *arg);

/* The parent of PID; 0 where that cannot be told: PID is gone, or hidden (hidepid=2). */
pid_t proc_parent(pid_t pid);

/* The state of PID, a letter as in proc(5); 0 where that cannot be told. */
char proc_state(pid_t pid);

/* The name of PID, printable; "?" where that cannot be told. SIZE is at least 2. */
void proc_name(pid_t pid, char *name, size_t size);

/* The effective user id of PID. False where that cannot be told. */
bool proc_user(pid_t pid, unsigned *user);

/* How many threads PID has; 0 where that cannot be told. */
int proc_threads(pid_t pid);

/* The process that traces PID (ptrace(2)); 0: none does. */
pid_t proc_tracer(pid_t pid);

#endif
