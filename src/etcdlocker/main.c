/* Wiring: options, signals, then the sentinel. Nothing here may need libevent or libcurl: the sentinel is forked from a
 * process that has started neither. */
#include "child/descriptors.h"
#include "etcdlocker/copy.h"
#include "etcdlocker/logging.h"
#include "etcdlocker/options.h"
#include "etcdlocker/outcome.h"
#include "etcdlocker/password.h"
#include "etcdlocker/sentinel.h"
#include "etcdlocker/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Of our own, at most at a time: connections to etcd, events and timers, the ping channel. Found out after the lock is
 * taken, a shortage would cost others their turn. */
#define DESCRIPTORS 24

static int
say_usage_error(const char *why)
{
	log_msg(logging_start(false), LEVEL_ERROR, "%s", why);
	return EXIT_USAGE;
}

/* What was asked for on stdout must arrive there. */
static int
finish_stdout(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	log_errno(logging_start(false), LEVEL_ERROR, errno, "cannot write to stdout");
	return EXIT_NOT_ACQUIRED;
}

static int
copy_to(const char *file)
{
	char why[OPTIONS_WHY];

	if (copy_program(file, why, sizeof(why)) == 0)
		return 0;
	log_msg(logging_start(false), LEVEL_ERROR, "%s", why);
	return EXIT_NOT_ACQUIRED;
}

/* Setuid, setgid or with capabilities of the file's: every user who may run us would run anything as that user. */
static bool
is_privileged_file(void)
{
	return getuid() != geteuid() || getgid() != getegid() ||
	    (getauxval(AT_SECURE) != 0 && getxattr("/proc/self/exe", "security.capability", NULL, 0) > 0);
}

/* What the command line asks for. */
static int
carry_out(enum options_result asked, struct options *options, const char *why, char *words, size_t words_len)
{
	struct signal_state signals;
	struct deadman deadman;
	struct service service;
	const char *listen_pid = getenv("LISTEN_PID");
	char question[OPTIONS_WHY];
	int limit;
	struct setup setup = { .options = options,
		.signals = &signals,
		.deadman = &deadman,
		.service = &service,
		.words = words,
		.words_len = words_len };

	if (is_privileged_file())
		return say_usage_error("installed setuid, setgid or with capabilities: whoever may run it could run "
				       "anything so; install it without");
	if (asked == OPTIONS_STATUS || asked == OPTIONS_RUN) {
		if (password_ask(options, question) == -1)
			return say_usage_error(question);
		password_hide(options);
	}
	switch (asked) {
	case OPTIONS_HELP:
		options_help(stdout);
		return finish_stdout();
	case OPTIONS_VERSION:
		printf("etcdlocker %s\n%s\n", PACKAGE_VERSION, etcdlock_libraries());
		return finish_stdout();
	case OPTIONS_COPY:
		return copy_to(options->copy_to);
	case OPTIONS_WRONG:
		return say_usage_error(why);
	case OPTIONS_STATUS:
		return status_run(options, logging_start(options->verbose));
	case OPTIONS_RUN:
		break;
	}
	setup.log = logging_start(options->verbose);
	setup.listening = listen_pid != NULL && atoll(listen_pid) == getpid();
	if (options->password_seen)
		log_msg(setup.log, LEVEL_WARNING,
		    "a password on the command line can be read by every user of this machine until we have taken it "
		    "off; --password-file cannot");
	limit = descriptors_limit_for(DESCRIPTORS);
	if (limit > 0) {
		log_msg(setup.log, LEVEL_ERROR, "too few descriptors: ulimit -n %d would do", limit);
		return EXIT_NOT_ACQUIRED;
	}
	if (signals_take(&signals) == -1 || service_take(&service, options->notify_fd) == -1 ||
	    deadman_open(&deadman, strlen(options->key)) == -1) {
		log_errno(setup.log, LEVEL_ERROR, errno, "cannot start");
		return EXIT_NOT_ACQUIRED;
	}
	return sentinel_run(&setup);
}

int
main(int argc, char *argv[])
{
	struct options options;
	char why[OPTIONS_WHY];
	size_t words_len = 0;
	int code;

	descriptors_note_inherited();
	if (descriptors_fix_standard() == -1)
		return EXIT_COMMAND;
	/* The kernel lays the words out one behind the other. */
	if (argc > 0)
		words_len = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) + 1 - argv[0]);
	code = carry_out(options_parse(&options, argc, argv, why), &options, why, argv[0], words_len);
	options_free(&options);
	return code;
}

/* GnuTLS comes with libcurl, through librtmp, and its constructor builds 120 kB of tables in every process that links
 * it. The GnuTLS manual, "Initialization": a program that defines this symbol puts that off until gnutls_global_init(),
 * which libcurl calls itself where it uses GnuTLS. */
int _gnutls_global_init_skip(void);

int
_gnutls_global_init_skip(void)
{
	return 1;
}
