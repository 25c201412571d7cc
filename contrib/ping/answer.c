/* etcdlocker -k KEY --ping -- ./answer
 *
 * Answers pings from the loop that does the work: the same bytes back. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	const char *ping_fd = getenv("ETCD_LOCK_PING_FD"), *pong_fd = getenv("ETCD_LOCK_PONG_FD");
	struct pollfd ping = { .fd = ping_fd != NULL ? atoi(ping_fd) : -1, .events = POLLIN };
	int pong = pong_fd != NULL ? atoi(pong_fd) : -1;
	long rounds = argc > 1 ? atol(argv[1]) : 30;

	while (rounds-- > 0) {
		char line[64];

		/* A round of the work, of 100 ms at most. */
		if (poll(&ping, 1, 100) <= 0)
			continue;
		ssize_t len = read(ping.fd, line, sizeof(line));
		if (len <= 0 || write(pong, line, (size_t)len) != len)
			return 1;
	}
	return 0;
}
