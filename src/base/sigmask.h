/* The mask of signals, as the kernel has it: musl keeps RTMIN (34) to itself, and takes it out of every old mask. */
#ifndef BASE_SIGMASK_H
#define BASE_SIGMASK_H

#include <signal.h>

/* pthread_sigmask(3) of the calling thread, with every signal of SET in it and all that were blocked in OLD; either may
 * be NULL. Async-signal-safe. Returns 0, or -1 with errno. */
int sigmask_change(int how, const sigset_t *set, sigset_t *old);

/* sigaddset(3), for a signal that the C library keeps to itself, too. */
void sigmask_add(sigset_t *set, int signo);

#endif
