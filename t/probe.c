/* What a command sees of its surroundings, one "NAME VALUE" a line: run once directly and once under etcdlocker, the
 * lines must be the same. With an argument "signals" it then prints every signal that it gets, until USR2; with
 * "signals for ever" until KILL. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void
print_descriptors(void)
{
	for (int fd = 0; fd < 256; fd++) {
		struct stat info;
		int flags = fcntl(fd, F_GETFD);

		if (flags == -1 || fstat(fd, &info) == -1)
			continue;
		printf("fd %d mode %o inode %lu flags %d status %d\n", fd, (unsigned)info.st_mode,
		    (unsigned long)info.st_ino, flags, fcntl(fd, F_GETFL));
	}
}

static void
print_signals(void)
{
	sigset_t blocked;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (int signo = 1; signo < NSIG; signo++) {
		struct sigaction action;

		if (sigismember(&blocked, signo) == 1)
			printf("blocked %d\n", signo);
		if (sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			printf("ignored %d\n", signo);
	}
}

static void
print_and_wait(bool ends)
{
	sigset_t all;
	int signo;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	puts("ready");
	fflush(stdout);
	while (sigwait(&all, &signo) == 0) {
		printf("signal %d\n", signo);
		fflush(stdout);
		if (ends && signo == SIGUSR2)
			exit(0);
	}
}

int
main(int argc, char *argv[])
{
	char cwd[PATH_MAX];
	struct rlimit files;

	for (int i = 1; i < argc; i++)
		printf("arg %s\n", argv[i]);
	for (char **entry = environ; *entry != NULL; entry++)
		printf("env %s\n", *entry);
	printf("cwd %s\n", getcwd(cwd, sizeof(cwd)) == NULL ? "?" : cwd);
	getrlimit(RLIMIT_NOFILE, &files);
	printf("nofile %lu\n", (unsigned long)files.rlim_cur);
	print_descriptors();
	print_signals();
	fflush(stdout);
	if (argc > 1 && strncmp(argv[1], "signals", 7) == 0)
		print_and_wait(strcmp(argv[1], "signals for ever") != 0);
	return 0;
}
