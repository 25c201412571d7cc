#include "child/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int inherited[1024];
static unsigned inherited_count;

int
descriptors_fix_standard(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int opened, ends[2];

		if (fcntl(fd, F_GETFD) != -1)
			continue;
		/* The lowest free descriptor is FD, as those below it are open. */
		opened = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (opened == -1 && pipe2(ends, O_CLOEXEC) == 0) {
			opened = ends[fd == 0 ? 0 : 1];
			close(ends[fd == 0 ? 1 : 0]);
		}
		if (opened == -1)
			return -1;
		if (opened != fd) {
			if (dup3(opened, fd, O_CLOEXEC) == -1)
				return -1;
			close(opened);
		}
	}
	return 0;
}

void
descriptors_note_inherited(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	inherited_count = 0;
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL && inherited_count < sizeof(inherited) / sizeof(inherited[0])) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != dirfd(dir))
			inherited[inherited_count++] = fd;
	}
	closedir(dir);
}

void
descriptors_close_inherited(void)
{
	while (inherited_count > 0)
		close(inherited[--inherited_count]);
}
