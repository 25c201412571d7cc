/* Commands that are hard to end, for the tests:
 *
 *   unruly setuid SECONDS
 *     becomes root for good, where it is a program of root's with the setuid bit
 *
 *   unruly rabbits N SECONDS LOG
 *     N lines of descent of processes that do nothing but fork and exit, each in a session of its own, deaf to signals;
 *     now and then one of them writes the time into LOG, as CLOCK_MONOTONIC has it
 *
 *   unruly stamps LOG SECONDS
 *     writes down when it lives, as Stamps.pm has it; becomes root for good first, where it is a program of root's with
 *     the setuid bit
 *
 *   unruly hold PID
 *     holds a process up, as a debugger does, until this one is killed; prints "held"
 *
 *   unruly hidden LOG
 *     a child that nobody else may look into, in a session of its own; it writes its pid into LOG, and lives until it
 * is killed
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How often a rabbit writes: not each time, for that would slow it down. */
#define GENERATIONS 64

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int
run_setuid(double seconds)
{
	const double end = now() + seconds;

	if (setresuid(0, 0, 0) == -1) {
		perror("setresuid");
		return 1;
	}
	puts("root");
	fflush(stdout);
	while (now() < end)
		usleep(20000);
	return 0;
}

static int
run_rabbits(int lines, double seconds, const char *log)
{
	const double end = now() + seconds;
	int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	char text[40];

	for (int signo = 1; signo < 32; signo++)
		(void)signal(signo, SIG_IGN);
	for (int i = 1; i < lines; i++)
		if (fork() == 0)
			break;
	for (long generation = 1; now() < end; generation++) {
		if (fork() > 0)
			_exit(0);
		setsid();
		if (generation % GENERATIONS != 0)
			continue;
		snprintf(text, sizeof(text), "%.6f\n", now());
		if (pwrite(fd, text, strlen(text), 0) == -1)
			_exit(1);
	}
	return 0;
}

static int
run_stamps(const char *log, double seconds)
{
	const double began = now();
	const char *token = getenv("ETCD_LOCK_REV");
	char text[128];
	int fd;

	for (int signo = 1; signo < 32; signo++)
		(void)signal(signo, SIG_IGN);
	if (geteuid() != getuid() && setresuid(geteuid(), geteuid(), geteuid()) == -1)
		return 1;
	fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	while (now() < began + seconds) {
		snprintf(text, sizeof(text), "setuid-%d-%.6f %s %.6f\n", (int)getpid(), began,
		    token == NULL ? "0" : token, now());
		if (write(fd, text, strlen(text)) == -1)
			return 1;
		usleep(5000);
	}
	return 0;
}

static int
run_hold(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1 || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == -1 ||
	    waitpid(pid, NULL, __WALL) != pid) {
		perror("ptrace");
		return 1;
	}
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}

static int
run_hidden(const char *log)
{
	pid_t pid = fork();
	FILE *out;

	if (pid == 0) {
		setsid();
		prctl(PR_SET_DUMPABLE, 0);
		(void)signal(SIGTERM, SIG_IGN);
		out = fopen(log, "we");
		if (out == NULL)
			return 1;
		fprintf(out, "%d\n", (int)getpid());
		fclose(out);
	}
	for (;;)
		pause();
}

int
main(int argc, char *argv[])
{
	if (argc == 3 && strcmp(argv[1], "setuid") == 0)
		return run_setuid(strtod(argv[2], NULL));
	if (argc == 5 && strcmp(argv[1], "rabbits") == 0)
		return run_rabbits(atoi(argv[2]), strtod(argv[3], NULL), argv[4]);
	if (argc == 4 && strcmp(argv[1], "stamps") == 0)
		return run_stamps(argv[2], strtod(argv[3], NULL));
	if (argc == 3 && strcmp(argv[1], "hold") == 0)
		return run_hold(atoi(argv[2]));
	if (argc == 3 && strcmp(argv[1], "hidden") == 0)
		return run_hidden(argv[2]);
	fputs("see unruly.c\n", stderr);
	return 64;
}
