/* Prints the monotonic clock in microseconds as its first instruction; with an argument, waits until that file exists
 * and prints it again as its last. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static long long
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int
main(int argc, char *argv[])
{
	const struct timespec pause = { .tv_nsec = 200000 };

	printf("%lld\n", now_us());
	fflush(stdout);
	if (argc > 1) {
		while (access(argv[1], F_OK) == -1)
			nanosleep(&pause, NULL);
		printf("%lld\n", now_us());
	}
	return 0;
}
