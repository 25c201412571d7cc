#include "child/directory.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* What getdents64(2) writes. */
struct entry {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

void
directory_each(int fd, void (*found)(void *arg, const char *name), void *arg)
{
	_Alignas(struct entry) char buf[4096];
	ssize_t len;

	(void)lseek(fd, 0, SEEK_SET);
	while ((len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < len;) {
			const struct entry *entry = (const struct entry *)(buf + at);

			found(arg, entry->name);
			at += entry->length;
		}
	}
}
