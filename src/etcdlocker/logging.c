#include "etcdlocker/logging.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void
write_line(void *arg, int level, const char *line)
{
	const struct logger *logger = arg;
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	char buf[LOG_LINE + 80];
	int len;

	/* The lock's lines come here without a look at the threshold. */
	if (level > (int)logger->threshold)
		return;
	if (logger->threshold == LEVEL_DEBUG) {
		struct timespec now;
		struct tm utc;
		char stamp[32];

		/* People compare these with other machines' logs: wall-clock time, in UTC. */
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &utc);
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
		len = snprintf(buf, sizeof(buf), "%s.%03ldZ etcdlocker[%d]: %s\n", stamp, now.tv_nsec / 1000000,
		    (int)getpid(), line);
	} else {
		len = snprintf(buf, sizeof(buf), "etcdlocker: %s\n", line);
	}
	/* A closed stderr, or a stderr that nobody reads, must not change what we do: rather a line less. */
	if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0)
		return;
	if (write(STDERR_FILENO, buf, (size_t)len) == -1)
		return;
}

const struct logger *
logging_start(bool verbose)
{
	static struct logger logger = { .write = write_line, .arg = &logger };

	logger.threshold = verbose ? LEVEL_DEBUG : LEVEL_NOTICE;
	return &logger;
}
