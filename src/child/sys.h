/* The system calls about processes, a function each: what a test replaces to drive tree, keeper and command without
 * processes (see t/unit/fake_sys.c). They do what the call of their name does, and set errno as it does. */
#ifndef CHILD_SYS_H
#define CHILD_SYS_H

#include <stdbool.h>
#include <sys/types.h>

/* kill(2). */
int sys_kill(pid_t pid, int signo);

/* waitpid(2) for any child. */
pid_t sys_wait(int *status, int flags);

/* pidfd_open(2); close it with sys_pidfd_close(). */
int sys_pidfd_open(pid_t pid);
void sys_pidfd_close(int fd);

/* pidfd_send_signal(2). */
int sys_pidfd_signal(int fd, int signo);

/* True where FD is of a child of ours: *ENDED then tells whether that waits to be reaped. */
bool sys_pidfd_is_child(int fd, bool *ended);

/* getpid(2). */
pid_t sys_self(void);

/* fork(2): the child does RUN with ARG, which must not return. */
pid_t sys_fork(void (*run)(void *arg), void *arg);

/* Have the kernel reap our children that die from now on (SA_NOCLDWAIT), or not. */
void sys_leave_dead(bool to_kernel);

#endif
