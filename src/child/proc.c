#include "child/proc.h"

#include "child/directory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So many processes are found in one walk; of more trees than that the rest is found in the next one. */
#define MOST 8192

struct numbers {
	void (*found)(void *arg, pid_t number);
	void *arg;
};

static void
found_name(void *arg, const char *name)
{
	const struct numbers *numbers = arg;
	pid_t number = atoi(name);

	if (number > 0)
		numbers->found(numbers->arg, number);
}

/* Calls FOUND for each number that is a name in DIRECTORY. */
static void
each_number(const char *directory, void (*found)(void *arg, pid_t number), void *arg)
{
	struct numbers numbers = { .found = found, .arg = arg };
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return;
	directory_each(fd, found_name, &numbers);
	close(fd);
}

/* Reads the beginning of /proc/PID/NAME, NUL-terminated. Returns its length, -1 where it cannot be read. */
static ssize_t
read_file(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[48];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	len = read(fd, buf, size - 1);
	close(fd);
	buf[len > 0 ? len : 0] = '\0';
	return len;
}

/* /proc/PID/stat: the fields behind the last ')', which ends the name. False where it cannot be read. */
static bool
read_stat(pid_t pid, char *state, pid_t *parent)
{
	char buf[512], *end;
	int number;

	if (read_file(pid, "stat", buf, sizeof(buf)) <= 0)
		return false;
	end = strrchr(buf, ')');
	if (end == NULL || sscanf(end, ") %c %d", state, &number) != 2)
		return false;
	*parent = number;
	return true;
}

pid_t
proc_parent(pid_t pid)
{
	pid_t parent;
	char state;

	return read_stat(pid, &state, &parent) ? parent : 0;
}

char
proc_state(pid_t pid)
{
	pid_t parent;
	char state;

	return read_stat(pid, &state, &parent) ? state : '\0';
}

void
proc_name(pid_t pid, char *name, size_t size)
{
	if (read_file(pid, "comm", name, size) <= 0) {
		snprintf(name, size, "?");
		return;
	}
	name[strcspn(name, "\n")] = '\0';
	for (char *c = name; *c != '\0'; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

/* Number INDEX behind NAME in /proc/PID/status. */
static bool
read_status(pid_t pid, const char *name, const char *format, int *number)
{
	char buf[2048];
	const char *line;

	if (read_file(pid, "status", buf, sizeof(buf)) <= 0)
		return false;
	line = strstr(buf, name);
	return line != NULL && sscanf(line + strlen(name), format, number) == 1;
}

bool
proc_user(pid_t pid, unsigned *user)
{
	int number;

	if (!read_status(pid, "\nUid:", "%*d %d", &number))
		return false;
	*user = (unsigned)number;
	return true;
}

int
proc_threads(pid_t pid)
{
	int number;

	return read_status(pid, "\nThreads:", "%d", &number) ? number : 0;
}

pid_t
proc_tracer(pid_t pid)
{
	int number;

	return read_status(pid, "\nTracerPid:", "%d", &number) ? number : 0;
}

/* An empty directory is no /proc, and that of another pid namespace has other processes under our numbers. */
static bool
is_our_proc(void)
{
	char self[16];
	ssize_t len = readlink("/proc/self", self, sizeof(self) - 1);

	if (len == -1)
		return false;
	self[len] = '\0';
	return atoi(self) == getpid();
}

/* --- descendants --- */

/* Processes whose children are still to be looked up. */
static pid_t queue[MOST];

struct search {
	bool (*visit)(void *arg, pid_t pid, pid_t parent);
	void *arg;
	pid_t parent; /* whose children are being listed */
	size_t count; /* in the queue */
	bool failed;  /* this kernel has no lists of children (CONFIG_PROC_CHILDREN) */
};

static void
found_child(struct search *search, pid_t pid)
{
	if (search->visit(search->arg, pid, search->parent) && search->count < MOST)
		queue[search->count++] = pid;
}

/* Reads the children that thread TID of the parent has: their numbers, each with a blank behind it. */
static void
list_children(void *arg, pid_t tid)
{
	struct search *search = arg;
	char path[64], buf[4096];
	ssize_t len;
	pid_t pid = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)search->parent, (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1) {
		search->failed = errno == ENOENT && search->parent == getpid() && tid == getpid();
		return;
	}
	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < len; i++) {
			if (isdigit((unsigned char)buf[i])) {
				pid = pid * 10 + (buf[i] - '0');
			} else if (pid != 0) {
				found_child(search, pid);
				pid = 0;
			}
		}
	}
	close(fd);
}

/* The slow way: looks at PID whether it is one of them. */
static void
check_process(void *arg, pid_t pid)
{
	struct search *search = arg;

	if (proc_parent(pid) == search->parent)
		found_child(search, pid);
}

int
proc_each_descendant(bool (*visit)(void *arg, pid_t pid, pid_t parent), void *arg)
{
	struct search search = { .visit = visit, .arg = arg, .parent = getpid() };
	char path[32];

	if (!is_our_proc())
		return -1;
	for (size_t at = 0;; search.parent = queue[at++]) {
		snprintf(path, sizeof(path), "/proc/%d/task", (int)search.parent);
		/* A process that is gone, or hidden, has no children that we could see: they become ours when it dies.
		 */
		if (!search.failed)
			each_number(path, list_children, &search);
		if (search.failed)
			each_number("/proc", check_process, &search);
		if (at == search.count)
			return 0;
	}
}
