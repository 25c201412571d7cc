#include "child/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

static int
open_file(const struct cgroup *cgroup, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", cgroup->name, name);
	return openat(cgroup->parent, path, O_WRONLY | O_CLOEXEC);
}

bool
cgroup_make(struct cgroup *cgroup)
{
	char own[PATH_MAX], mount[PATH_MAX], path[2 * PATH_MAX];

	*cgroup = (struct cgroup){ .parent = -1, .procs = -1, .kill = -1 };
	snprintf(cgroup->name, sizeof(cgroup->name), "etcdlocker.%d", (int)getpid());
	if (!read_own_path(own) || !read_mount_point(mount))
		return false;
	snprintf(path, sizeof(path), "%s%s", mount, own);
	cgroup->parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->parent == -1)
		return false;
	if (!is_ours(cgroup->parent, own) || mkdirat(cgroup->parent, cgroup->name, 0755) == -1) {
		close(cgroup->parent);
		cgroup->parent = -1;
		return false;
	}
	cgroup->procs = open_file(cgroup, "cgroup.procs");
	cgroup->kill = open_file(cgroup, "cgroup.kill");
	if (cgroup->procs != -1 && cgroup->kill != -1)
		return true;
	cgroup_remove(cgroup);
	cgroup->procs = cgroup->kill = -1;
	return false;
}

void
cgroup_enter(const struct cgroup *cgroup)
{
	if (cgroup->procs != -1 && write(cgroup->procs, "0", 1) == -1)
		return;
}

void
cgroup_kill(const struct cgroup *cgroup)
{
	if (cgroup->kill != -1 && write(cgroup->kill, "1", 1) == -1)
		return;
}

void
cgroup_remove(const struct cgroup *cgroup)
{
	if (cgroup->parent != -1)
		(void)unlinkat(cgroup->parent, cgroup->name, AT_REMOVEDIR);
}
