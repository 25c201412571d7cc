#include "etcdlocker/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "etcdlocker"

/* Who has no /proc might still have the path that we were started by. */
static int
open_program(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	return fd != -1 ? fd : open((const char *)(uintptr_t)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
}

/* The dynamic linker is where the kernel has put an interpreter. */
static bool
needs_libraries(void)
{
	return getauxval(AT_BASE) != 0;
}

static int
copy_bytes(int from, int to)
{
	ssize_t count;

	do
		count = sendfile(to, from, NULL, 1 << 20);
	while (count > 0 || (count == -1 && errno == EINTR));
	return count == -1 ? -1 : 0;
}

/* A full disk is told by whichever call comes to know of it. */
static int
write_program(int to)
{
	int from = open_program(), copied;

	if (from == -1)
		return -1;
	copied = copy_bytes(from, to);
	close(from);
	return copied == 0 && fchmod(to, 0755) == 0 && fsync(to) == 0 ? 0 : -1;
}

/* Closed before it has its name: a file that is open to be written cannot be run. */
static int
replace(const char *path, char *draft)
{
	int to = mkostemp(draft, O_CLOEXEC), errnum;
	bool written;

	if (to == -1)
		return -1;
	written = write_program(to) == 0;
	errnum = errno;
	(void)close(to);
	if (written && rename(draft, path) == 0)
		return 0;
	if (written)
		errnum = errno;
	(void)unlink(draft);
	errno = errnum;
	return -1;
}

int
copy_program(const char *to, char *why, size_t size)
{
	char path[PATH_MAX - 8], draft[PATH_MAX];
	struct stat stat_to;
	const bool directory = stat(to, &stat_to) == 0 && S_ISDIR(stat_to.st_mode);

	if (needs_libraries()) {
		snprintf(why, size,
		    "this program needs shared libraries, and would not run elsewhere; contrib/static makes one that "
		    "does");
		return -1;
	}
	if ((size_t)snprintf(path, sizeof(path), directory ? "%s/" NAME : "%s", to) >= sizeof(path)) {
		snprintf(why, size, "cannot copy to %.64s...: the path is too long", to);
		return -1;
	}
	/* A limit on the size of files is an error, too, and nothing is left behind. */
	(void)signal(SIGXFSZ, SIG_IGN);
	snprintf(draft, sizeof(draft), "%s.XXXXXX", path);
	if (replace(path, draft) == 0)
		return 0;
	snprintf(why, size, "cannot copy to %.256s: %s", path, strerror(errno));
	return -1;
}
