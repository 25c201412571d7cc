#include "child/cgroup.h"

#include "child/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What the names of all of them begin with. */
#define PREFIX "etcdlocker."

/* So many names are tried. */
#define NUMBERS 100

/* cgroup.max.depth of what COMMAND makes, as far as we follow it. */
#define DEEPEST 32

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

/* True where the manager that set us up meant us to make cgroups below this one. */
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

	*cgroup = (struct cgroup){ .parent = -1, .dir = -1, .kill = -1, .owner = getpid() };
	if (!read_own_path(own) || !read_mount_point(mount))
		return;
	snprintf(path, sizeof(path), "%s%s", mount, own);
	cgroup->parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->parent == -1 || is_ours(cgroup->parent, own))
		return;
	close(cgroup->parent);
	cgroup->parent = -1;
}

void
cgroup_name(struct cgroup *cgroup, int number)
{
	if (number <= 1)
		snprintf(cgroup->name, sizeof(cgroup->name), PREFIX "%d", (int)cgroup->owner);
	else
		snprintf(cgroup->name, sizeof(cgroup->name), PREFIX "%d.%d", (int)cgroup->owner, number);
}

static int
open_directory(int parent, const char *name)
{
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* --- removing --- */

struct removal {
	int dir;
	int depth;
};

static void remove_one(int parent, const char *name, int depth);

static void
found_below(void *arg, const char *name)
{
	const struct removal *removal = arg;
	struct stat info;

	if (name[0] != '.' && fstatat(removal->dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode))
		remove_one(removal->dir, name, removal->depth + 1);
}

/* Only what is empty goes; the kernel sees to that. */
static void
remove_one(int parent, const char *name, int depth)
{
	struct removal removal = { .dir = -1, .depth = depth };

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || depth >= DEEPEST)
		return;
	removal.dir = open_directory(parent, name);
	if (removal.dir == -1)
		return;
	directory_each(removal.dir, found_below, &removal);
	close(removal.dir);
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

static void
kill_all(int fd)
{
	/* Whether it worked is seen by what is left. */
	if (fd != -1 && write(fd, "1", 1) == -1)
		(void)0;
}

static void
kill_named(int parent, const char *name)
{
	char path[NAME_MAX + sizeof("/cgroup.kill")];
	int fd;

	snprintf(path, sizeof(path), "%.255s/cgroup.kill", name);
	fd = openat(parent, path, O_WRONLY | O_CLOEXEC);
	kill_all(fd);
	if (fd != -1)
		close(fd);
}

/* One of ours by its name. Where nobody holds its lock, all who could have cleaned it up are dead. */
static void
found_beside(void *arg, const char *name)
{
	const struct cgroup *cgroup = arg;
	int dir;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
	    strspn(name + strlen(PREFIX), "0123456789.") != strlen(name) - strlen(PREFIX))
		return;
	dir = open_directory(cgroup->parent, name);
	if (dir == -1)
		return;
	if (flock(dir, LOCK_EX | LOCK_NB) == 0) {
		kill_named(cgroup->parent, name);
		remove_one(cgroup->parent, name, 0);
	}
	close(dir);
}

void
cgroup_remove(const struct cgroup *cgroup)
{
	if (cgroup->parent != -1 && cgroup->name[0] != '\0')
		remove_one(cgroup->parent, cgroup->name, 0);
}

/* --- making --- */

static void
forget(struct cgroup *cgroup)
{
	if (cgroup->kill != -1)
		close(cgroup->kill);
	if (cgroup->dir != -1)
		close(cgroup->dir);
	cgroup->kill = cgroup->dir = -1;
}

/* Somebody who cleans up can have come between its making and our lock. */
static bool
is_there(const struct cgroup *cgroup)
{
	struct stat named, opened;

	return fstatat(cgroup->parent, cgroup->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstat(cgroup->dir, &opened) == 0 && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

int
cgroup_make(struct cgroup *cgroup)
{
	int number = 1;

	if (cgroup->parent == -1)
		return 0;
	directory_each(cgroup->parent, found_beside, cgroup);
	for (; number <= NUMBERS; number++) {
		cgroup_name(cgroup, number);
		if (mkdirat(cgroup->parent, cgroup->name, 0755) == -1) {
			/* Somebody else has our number, in another pid namespace. */
			if (errno == EEXIST)
				continue;
			return 0;
		}
		cgroup->dir = open_directory(cgroup->parent, cgroup->name);
		if (cgroup->dir != -1 && flock(cgroup->dir, LOCK_SH | LOCK_NB) == 0 && is_there(cgroup))
			break;
		forget(cgroup);
	}
	if (cgroup->dir != -1)
		cgroup->kill = openat(cgroup->dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	if (cgroup->kill != -1)
		return number;
	cgroup_remove(cgroup);
	forget(cgroup);
	return 0;
}

int
cgroup_make_anew(struct cgroup *cgroup)
{
	cgroup_remove(cgroup);
	forget(cgroup);
	return cgroup_make(cgroup);
}

/* --- using --- */

/* clone3(2) as vfork(2). With shared memory it must be written in the machine's words, for no frame of a function that
 * has returned in the child may be needed by the parent; elsewhere the child gets a copy of the memory, which takes
 * longer. */
static inline __attribute__((always_inline)) long
clone3_vfork(struct clone_args *args)
{
#if defined(__x86_64__) && !defined(__ILP32__)
	long result;

	args->flags |= CLONE_VM;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args))
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long result __asm__("x0") = (long)args;
	register long size __asm__("x1") = sizeof(*args);
	register long number __asm__("x8") = SYS_clone3;

	args->flags |= CLONE_VM;
	__asm__ volatile("svc #0" : "+r"(result) : "r"(size), "r"(number) : "memory");
	return result;
#else
	return syscall(SYS_clone3, args, sizeof(*args));
#endif
}

pid_t
cgroup_vfork(int dir, void (*run)(void *arg), void *arg)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP | CLONE_VFORK,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)dir,
	};
	long pid = dir == -1 ? -1 : clone3_vfork(&args);

	if (pid < 0)
		pid = vfork();
	if (pid == 0) {
		/* All that starts a command is what vfork(2) allows in practice; see spawn.c. */
		run(arg); /* NOLINT(clang-analyzer-unix.Vfork) */
		_exit(127);
	}
	return (pid_t)pid;
}

void
cgroup_kill(const struct cgroup *cgroup)
{
	kill_all(cgroup->kill);
}

void
cgroup_kill_named(const struct cgroup *cgroup)
{
	if (cgroup->parent != -1)
		kill_named(cgroup->parent, cgroup->name);
}
