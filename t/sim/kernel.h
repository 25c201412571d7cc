/* Descriptors and timers of simulated processes, in place of the kernel's: what is linked calls read(2) and the like,
 * and comes here (--wrap in Makefile.am). */
#ifndef T_SIM_KERNEL_H
#define T_SIM_KERNEL_H

#include <stdbool.h>

struct proc;

/* FD of the current process has something to read. */
bool kernel_readable(int fd);

/* A signal has come for PROC's signalfd. */
void kernel_signalled(struct proc *proc);

/* The child of a fork has its parent's descriptors. */
void kernel_inherit(struct proc *child, const struct proc *parent);

void kernel_close_all(struct proc *proc);

/* The page that a sentinel shares with its children goes. */
void kernel_unmap(void *page);

#endif
