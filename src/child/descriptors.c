#include "child/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Older headers have neither: linux/close_range.h, and the system call's number. */
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Sorted. More than this are neither closed nor told from ours, beyond the last one noted. */
#define INHERITED 1024

static int inherited[INHERITED];
static size_t inherited_count;

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

static void
note(int fd)
{
	size_t at = inherited_count;

	if (fd <= 2 || inherited_count == INHERITED)
		return;
	for (; at > 0 && inherited[at - 1] > fd; at--)
		inherited[at] = inherited[at - 1];
	inherited[at] = fd;
	inherited_count++;
}

void
descriptors_note_inherited(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	inherited_count = 0;
	if (dir == NULL) {
		for (int fd = 3; fd < INHERITED; fd++)
			if (fcntl(fd, F_GETFD) != -1)
				note(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (atoi(entry->d_name) != dirfd(dir))
			note(atoi(entry->d_name));
	closedir(dir);
}

int
descriptors_limit_for(int needed)
{
	int wanted = STDERR_FILENO + 1 + (int)inherited_count + needed;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= (rlim_t)wanted)
		return 0;
	return wanted;
}

/* Does what FLAGS say to FIRST to LAST, as close_range(2) has it. */
static void
treat(unsigned first, unsigned last, unsigned flags)
{
	if (first > last || syscall(SYS_close_range, first, last, flags) == 0)
		return;
	/* Linux 5.10 has no CLOSE_RANGE_CLOEXEC, and some sandboxes have no close_range(2) at all. */
	for (unsigned fd = first; fd <= last && fd < INHERITED; fd++)
		(void)(flags == 0 ? close((int)fd) : fcntl((int)fd, F_SETFD, FD_CLOEXEC));
}

/* Treats all from 3 on that were not noted, but KEPT. */
static void
treat_ours(int kept, unsigned flags)
{
	unsigned first = 3;

	for (size_t i = 0; i <= inherited_count; i++) {
		unsigned last = i < inherited_count ? (unsigned)inherited[i] - 1
		    : inherited_count < INHERITED   ? ~0U
						    : 0;

		if (kept >= (int)first && (unsigned)kept <= last) {
			treat(first, (unsigned)kept - 1, flags);
			first = (unsigned)kept + 1;
		}
		treat(first, last, flags);
		first = last + 2;
	}
}

void
descriptors_hide_ours(void)
{
	treat_ours(-1, CLOSE_RANGE_CLOEXEC);
}

void
descriptors_close_ours(int kept)
{
	treat_ours(kept, 0);
}

void
descriptors_close_inherited(void)
{
	while (inherited_count > 0)
		close(inherited[--inherited_count]);
}

void
descriptors_keep(int fd)
{
	size_t kept = 0;

	for (size_t i = 0; i < inherited_count; i++)
		if (inherited[i] != fd)
			inherited[kept++] = inherited[i];
	inherited_count = kept;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int
descriptors_free_from(int first)
{
	for (size_t i = 0; i < inherited_count; i++)
		if (inherited[i] == first)
			first++;
	return first;
}

int
descriptors_move_above(int fd, int floor)
{
	int copy, saved;

	if (fd == -1 || fd > floor)
		return fd;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, floor + 1);
	saved = errno;
	close(fd);
	errno = saved;
	return copy;
}

void
descriptors_drop_received(struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
			int fd;

			memcpy(&fd, (char *)part + at, sizeof(fd));
			close(fd);
		}
	}
}
