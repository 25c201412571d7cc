/* Slews the clocks of this machine, as NTP does, for as long as its standard input is open: "slew TICK", in
 * microseconds a tick of 10 ms (adjtimex(2); 9000 to 11000). CLOCK_BOOTTIME then runs at TICK / 10000 of what
 * CLOCK_MONOTONIC_RAW does. Prints "slewed" when it is done; with status 77 where it may not. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	struct timex before = { .modes = 0 }, slewed = { .modes = ADJ_TICK };
	char byte;

	slewed.tick = argc == 2 ? atol(argv[1]) : 0;
	/* What ends us must not leave the clocks as they are then. */
	for (int signo = 1; signo < 32; signo++)
		(void)signal(signo, SIG_IGN);
	if (adjtimex(&before) == -1 || adjtimex(&slewed) == -1) {
		perror("adjtimex");
		return 77;
	}
	puts("slewed");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) == 1)
		continue;
	before.modes = ADJ_TICK;
	return adjtimex(&before) == -1;
}
