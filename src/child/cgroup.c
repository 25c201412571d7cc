#include "child/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The path of our cgroup in the v2 hierarchy: the line "0::PATH" (cgroups(7)). */
static bool
read_own_path(char path[PATH_MAX])
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX];
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		found = strncmp(line, "0::/", 4) == 0;
	}
	if (found)
		snprintf(path, PATH_MAX, "%s", line + 3);
	if (file != NULL)
		fclose(file);
	return found;
}

/* Where the v2 hierarchy is mounted, from its root on (proc(5), /proc/self/mountinfo). */
static bool
read_mount_point(char path[PATH_MAX])
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[2 * PATH_MAX], root[PATH_MAX];
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
		found = strstr(line, " - cgroup2 ") != NULL &&
		    sscanf(line, "%*d %*d %*s %4095s %4095s", root, path) == 2 && strcmp(root, "/") == 0;
	if (file != NULL)
		fclose(file);
	return found;
}

/* True where whoever set us up meant us to make cgroups below this one. */
static bool
is_ours(int parent, const char *own_path)
{
	char value[8];
	struct stat info;

	if (fstat(parent, &info) == -1 || info.st_uid != geteuid() || faccessat(parent, ".", W_OK, AT_EACCESS) == -1)
		return false;
	return geteuid() != 0 || strcmp(own_path, "/") == 0 ||
	    fgetxattr(parent, "trusted.delegate", value, sizeof(value)) > 0 ||
	    fgetxattr(parent, "user.delegate", value, sizeof(value)) > 0;
}

void
cgroup_find(struct cgroup *cgroup)
{
	char own[PATH_MAX], mount[PATH_MAX], path[2 * PATH_MAX];

	*cgroup = (struct cgroup){ .parent = -1, .dir = -1, .kill = -1 };
	snprintf(cgroup->name, sizeof(cgroup->name), "etcdlocker.%d", (int)getpid());
	if (!read_own_path(own) || !read_mount_point(mount))
		return;
	snprintf(path, sizeof(path), "%s%s", mount, own);
	cgroup->parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->parent == -1 || is_ours(cgroup->parent, own))
		return;
	close(cgroup->parent);
	cgroup->parent = -1;
}

bool
cgroup_make(struct cgroup *cgroup)
{
	if (cgroup->parent == -1 || mkdirat(cgroup->parent, cgroup->name, 0755) == -1)
		return false;
	cgroup->dir = openat(cgroup->parent, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->dir != -1)
		cgroup->kill = openat(cgroup->dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	if (cgroup->kill != -1)
		return true;
	cgroup_remove(cgroup);
	if (cgroup->dir != -1)
		close(cgroup->dir);
	cgroup->dir = -1;
	return false;
}

bool
cgroup_make_anew(struct cgroup *cgroup)
{
	cgroup_remove(cgroup);
	if (cgroup->kill != -1)
		close(cgroup->kill);
	if (cgroup->dir != -1)
		close(cgroup->dir);
	cgroup->kill = cgroup->dir = -1;
	return cgroup_make(cgroup);
}

pid_t
cgroup_fork(const struct cgroup *cgroup)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup->dir,
	};
	long pid = cgroup->dir == -1 ? -1 : syscall(SYS_clone3, &args, sizeof(args));

	return pid == -1 ? fork() : (pid_t)pid;
}

static void
kill_all(int fd)
{
	/* Whether it worked is seen by what is left. */
	if (fd != -1 && write(fd, "1", 1) == -1)
		(void)0;
}

void
cgroup_kill(const struct cgroup *cgroup)
{
	kill_all(cgroup->kill);
}

void
cgroup_kill_named(const struct cgroup *cgroup)
{
	char path[sizeof(cgroup->name) + sizeof("/cgroup.kill")];
	int fd = -1;

	snprintf(path, sizeof(path), "%s/cgroup.kill", cgroup->name);
	if (cgroup->parent != -1)
		fd = openat(cgroup->parent, path, O_WRONLY | O_CLOEXEC);
	kill_all(fd);
	if (fd != -1)
		close(fd);
}

void
cgroup_remove(const struct cgroup *cgroup)
{
	if (cgroup->parent != -1)
		(void)unlinkat(cgroup->parent, cgroup->name, AT_REMOVEDIR);
}
