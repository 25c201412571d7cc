#include "child/private_dir.h"

#include "child/directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
make_in(const char *place, char path[PRIVATE_DIR])
{
	if (place == NULL || place[0] != '/' ||
	    snprintf(path, PRIVATE_DIR, "%s/etcdlocker-XXXXXX", place) >= PRIVATE_DIR)
		return false;
	return mkdtemp(path) != NULL;
}

bool
private_dir_make(char path[PRIVATE_DIR])
{
	if (make_in(getenv("XDG_RUNTIME_DIR"), path) || make_in("/run", path) || make_in(getenv("TMPDIR"), path) ||
	    make_in("/tmp", path))
		return true;
	path[0] = '\0';
	return false;
}

struct visit {
	int fd;
	uid_t user;
	bool removes;
};

static void
on_name(void *arg, const char *name)
{
	const struct visit *visit = arg;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	if (visit->removes)
		(void)unlinkat(visit->fd, name, 0);
	else if (fchownat(visit->fd, name, visit->user, (gid_t)-1, AT_SYMLINK_NOFOLLOW) == -1)
		return;
}

/* Where nobody has put something else in its place by now, as its owner could. */
static int
open_dir(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void
private_dir_give(const char *path, uid_t user)
{
	struct visit visit = { .fd = open_dir(path), .user = user };

	if (visit.fd == -1)
		return;
	/* The files first: they are ours to give only as long as nobody else can put others there. */
	directory_each(visit.fd, on_name, &visit);
	(void)!fchown(visit.fd, user, (gid_t)-1);
	close(visit.fd);
}

void
private_dir_remove(const char *path)
{
	struct visit visit = { .removes = true };

	if (path[0] == '\0')
		return;
	visit.fd = open_dir(path);
	if (visit.fd == -1)
		return;
	directory_each(visit.fd, on_name, &visit);
	close(visit.fd);
	(void)rmdir(path);
}
