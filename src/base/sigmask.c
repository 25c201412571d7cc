#include "base/sigmask.h"

#include <sys/syscall.h>
#include <unistd.h>

int
sigmask_change(int how, const sigset_t *set, sigset_t *old)
{
	/* The kernel's set is the shorter one. */
	if (old != NULL)
		sigemptyset(old);
	return (int)syscall(SYS_rt_sigprocmask, how, set, old, _NSIG / 8);
}

void
sigmask_add(sigset_t *set, int signo)
{
	const int bits = 8 * (int)sizeof(unsigned long);
	unsigned long *words = (unsigned long *)set;

	/* The kernel's set is bits, signal 1 the first. */
	words[(signo - 1) / bits] |= 1UL << (signo - 1) % bits;
}
