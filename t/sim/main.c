/* etcdlocker under simulation: see doc/simulation.md. */
#include "answers.h"
#include "heap.h"
#include "run.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Noreturn void __real__exit(int code);

/* A run that takes so long in real time does not end. */
#define HANGS_AFTER 120

/* A worker begins anew after so many runs. */
#define RUNS_OF_A_WORKER 500

/* Shared by all workers. */
static struct board {
	uint64_t first;
	_Atomic uint64_t next; /* the next seed */
	_Atomic uint64_t runs, acquisitions, starts, faults, requests, steps, lived_s;
	_Atomic int found;
	uint64_t seed; /* of what was found */
	char text[512];
	_Atomic uint64_t doing[64]; /* each worker's seed */
} * board;

static struct without without;
static uint64_t runs_wanted = UINT64_MAX;

FILE *
run_history(void)
{
	return stdout;
}

_Noreturn void
run_found(const char *text)
{
	if (atomic_exchange(&board->found, 1) == 0)
		snprintf(board->text, sizeof(board->text), "%s", text);
	fflush(stdout);
	__real__exit(1);
}

static void
add_up(void)
{
	const struct tally *tally = &world.tally;

	atomic_fetch_add(&board->runs, 1);
	atomic_fetch_add(&board->acquisitions, tally->acquisitions);
	atomic_fetch_add(&board->starts, tally->starts);
	atomic_fetch_add(&board->faults, tally->faults);
	atomic_fetch_add(&board->requests, tally->requests);
	atomic_fetch_add(&board->steps, tally->steps);
	atomic_fetch_add(&board->lived_s, (uint64_t)(tally->lived / NSEC_PER_SEC));
}

/* --- one seed --- */

/* Runs SEED in a process of its own. True where something is found, which is in BOARD->text. */
static bool
try_seed(uint64_t seed, bool noting)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	atomic_store(&board->found, 0);
	pid = fork();
	if (pid == 0) {
		alarm(HANGS_AFTER);
		world.noting = noting;
		run_world(seed, &without);
		add_up();
		fflush(stdout);
		__real__exit(0);
	}
	while (wait(&status) != pid)
		continue;
	if (WIFSIGNALED(status))
		snprintf(board->text, sizeof(board->text), "the simulation was ended by signal %d", WTERMSIG(status));
	return status != 0;
}

/* Leaves out all faults that are not needed to find something. */
static void
shrink(uint64_t seed)
{
	for (size_t part = FAULTS / 2; part > 0; part /= 2) {
		for (size_t from = 0; from < FAULTS; from += part) {
			struct without before = without;

			memset(without.list + from, true, part);
			if (memcmp(&before, &without, sizeof(without)) != 0 && !try_seed(seed, false))
				without = before;
		}
	}
}

static void
print_without(FILE *stream)
{
	const char *before = " --without ";

	for (size_t i = 0; i < FAULTS; i++) {
		size_t from = i;

		if (!without.list[i])
			continue;
		while (i + 1 < FAULTS && without.list[i + 1])
			i++;
		fprintf(stream, i > from ? "%s%zu-%zu" : "%s%zu", before, from, i);
		before = ",";
	}
}

static bool history = true;

static int
report_finding(uint64_t seed)
{
	if (history) {
		shrink(seed);
		(void)try_seed(seed, true);
	}
	printf("found: %s\nagain: t/sim/sim --seed %" PRIu64, board->text, seed);
	print_without(stdout);
	printf("\n");
	return 1;
}

/* --- many --- */

static _Noreturn void
work(size_t number, time_t until)
{
	for (int i = 0; i < RUNS_OF_A_WORKER && time(NULL) < until && atomic_load(&board->found) == 0; i++) {
		uint64_t seed = atomic_fetch_add(&board->next, 1);

		if (seed - board->first >= runs_wanted)
			break;
		atomic_store(&board->doing[number], seed);
		alarm(HANGS_AFTER);
		run_world(seed, &without);
		add_up();
	}
	__real__exit(0);
}

static pid_t
start_worker(size_t number, time_t until)
{
	pid_t pid = fork();

	if (pid == 0)
		work(number, until);
	return pid;
}

static void
print_report(void)
{
	printf("%" PRIu64 " runs, %" PRIu64 " acquisitions, %" PRIu64 " starts of COMMAND, %" PRIu64 " faults, %" PRIu64
	       " requests, %.1f simulated days\n",
	    board->runs, board->acquisitions, board->starts, board->faults, board->requests,
	    (double)board->lived_s / 86400);
}

/* Fresh seeds from FIRST on, for SECONDS. */
static int
search(uint64_t first, long seconds, size_t jobs)
{
	time_t until = time(NULL) + seconds;
	pid_t workers[64] = { 0 };
	size_t running = jobs;

	board->first = first;
	atomic_store(&board->next, first);
	printf("seeds from %" PRIu64 " on\n", first);
	fflush(stdout);
	for (size_t i = 0; i < jobs; i++)
		workers[i] = start_worker(i, until);
	while (running > 0) {
		int status;
		pid_t pid = wait(&status);
		size_t i = 0;

		while (i < jobs && workers[i] != pid)
			i++;
		if (i == jobs)
			continue;
		if (status != 0 && board->seed == 0) {
			board->seed = atomic_load(&board->doing[i]);
			atomic_store(&board->found, 1);
		}
		if (time(NULL) < until && board->next - first < runs_wanted && atomic_load(&board->found) == 0)
			workers[i] = start_worker(i, until);
		else
			running--;
	}
	print_report();
	return board->seed == 0 ? 0 : report_finding(board->seed);
}

/* --- the command line --- */

static void
parse_without(const char *list)
{
	char *end;

	while (*list != '\0') {
		size_t from = strtoul(list, &end, 10), to = from;

		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (size_t i = from; i <= to && i < FAULTS; i++)
			without.list[i] = true;
		list = *end == ',' ? end + 1 : end;
	}
}

static int
usage(void)
{
	fputs("sim [--seconds N | --hours N] [--runs N] [--first SEED] [--jobs N] [--no-history]\n"
	      "sim --seed SEED [--without LIST] [--no-history]\n"
	      "sim --answers <REQUESTS\n",
	    stderr);
	return 2;
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = { { "seconds", required_argument, NULL, 's' },
		{ "hours", required_argument, NULL, 'h' }, { "first", required_argument, NULL, 'f' },
		{ "jobs", required_argument, NULL, 'j' }, { "runs", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 'S' }, { "without", required_argument, NULL, 'w' },
		{ "no-history", no_argument, NULL, 'q' }, { "answers", no_argument, NULL, 'a' }, { 0 } };
	uint64_t first = (uint64_t)time(NULL) * 1000000, seed = 0;
	long seconds = 20;
	size_t jobs = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
	bool one = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			seconds = atol(optarg);
			break;
		case 'h':
			seconds = (long)(atof(optarg) * 3600);
			break;
		case 'f':
			first = strtoull(optarg, NULL, 10);
			break;
		case 'j':
			jobs = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			runs_wanted = strtoull(optarg, NULL, 10);
			break;
		case 'S':
			seed = strtoull(optarg, NULL, 10);
			one = true;
			break;
		case 'w':
			parse_without(optarg);
			break;
		case 'q':
			history = false;
			break;
		case 'a':
			heap_set_up();
			return answers();
		default:
			return usage();
		}
	}
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || jobs < 1 || jobs > 64)
		return usage();
	heap_set_up();
	if (!one)
		return search(first, seconds, jobs);
	if (!try_seed(seed, history)) {
		print_report();
		return 0;
	}
	printf("found: %s\n", board->text);
	return 1;
}
