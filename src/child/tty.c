#include "child/tty.h"

#include <fcntl.h>
#include <unistd.h>

int
tty_open(void)
{
	return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

bool
tty_is_ours(int tty)
{
	return tty != -1 && tcgetpgrp(tty) == getpgrp();
}

void
tty_give(int tty, pid_t group)
{
	/* SIGTTOU is blocked in us, so that a group in the background may do this. */
	if (tty != -1)
		(void)tcsetpgrp(tty, group);
}
