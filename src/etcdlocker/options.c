#include "etcdlocker/options.h"

#include "etcdlocker/hints.h"
#include "etcdlocker/node.h"
#include "etcdlocker/option_values.h"

#include <getopt.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct option_row {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* NULL: takes none; "[=...]": may take one */
	const char *setting;  /* the library's, of the same meaning; NULL: the option is ours alone */
	const char *variable; /* of one that is ours; NULL: none */
	option_setter *set;   /* NULL: SETTING or FLAG is all, or it is dealt with in parse_words() */
	const char *help;     /* NULL: it is none of ours, but has an answer */
	size_t flag;          /* the offset in struct options of the bool that it makes true; 0: none */
};

#define FLAG(member) offsetof(struct options, member)

static const struct option_row table[] = {
	{ .name = "etcd",
	    .letter = 'e',
	    .argument = "HOST:PORT[,...]",
	    .setting = "endpoints",
	    .help = "endpoints of etcd; localhost:2379" },
	{ .name = "discovery-srv",
	    .argument = "DOMAIN",
	    .setting = "discovery-srv",
	    .help = "endpoints from the domain's DNS SRV records" },
	{ .name = "id",
	    .letter = 'i',
	    .argument = "VALUE",
	    .setting = "id",
	    .help = "who we are, for people to read; the host name" },
	{ .name = "key", .letter = 'k', .argument = "KEY", .setting = "key", .help = "the lock's key; required" },
	{ .name = "ttl", .letter = 't', .argument = "SECONDS", .setting = "ttl", .help = "lease length; 60" },
	{ .name = "refresh",
	    .letter = 'r',
	    .argument = "SECONDS",
	    .setting = "refresh",
	    .help = "renewal period; half the TTL" },
	{ .name = "wait",
	    .letter = 'w',
	    .argument = "DURATION",
	    .setting = "wait",
	    .help = "give up waiting for the lock after this long; never" },
	{ .name = "try", .set = set_try, .help = "do not wait for the lock: -w 0" },
	{ .name = "conflict-exit-code",
	    .letter = 'E',
	    .argument = "N",
	    .set = set_conflict_code,
	    .help = "exit code when -w or --try gives up; 1" },
	{ .name = "connect-timeout",
	    .argument = "DURATION",
	    .setting = "connect-timeout",
	    .help = "how long etcd may be out of reach at the start; 30s, with --try 5s" },
	{ .name = "grace",
	    .letter = 'g',
	    .argument = "DURATION",
	    .setting = "grace",
	    .set = set_grace,
	    .help = "between the stop signal and SIGKILL; 8s" },
	{ .name = "signal",
	    .letter = 's',
	    .argument = "NAME",
	    .set = set_signal,
	    .help = "the stop signal when the lock is lost; TERM" },
	{ .name = "rewrite-signal",
	    .argument = "A=B",
	    .set = set_rewrite,
	    .help = "pass signal A on as B; 0: not at all" },
	{ .name = "group", .help = "signals for the command go to its whole process group", .flag = FLAG(group) },
	{ .name = "restart",
	    .argument = "[=on-failure|always]",
	    .set = set_restart,
	    .help = "start the command again while the lock is held" },
	{ .name = "relock", .help = "after a loss or the command's end wait for the lock again", .flag = FLAG(relock) },
	{ .name = "ready",
	    .argument = "started|child",
	    .set = set_ready,
	    .help = "when a service manager is told that we are ready; started" },
	{ .name = "notify-fd",
	    .argument = "N",
	    .set = set_notify_fd,
	    .help = "descriptor that gets a newline when we are ready" },
	{ .name = "lock-delay",
	    .argument = "DURATION",
	    .setting = "lock-delay",
	    .help = "wait after a holder vanished without releasing; 1s" },
	{ .name = "renew", .argument = "raft|keepalive", .setting = "renew", .help = "how the lease is renewed; raft" },
	{ .name = "api", .argument = "v3|v2", .setting = "api", .help = "etcd's protocol; v3" },
	{ .name = "cacert",
	    .argument = "FILE",
	    .setting = "cacert",
	    .help = "who may have signed etcd's certificates; the system's" },
	{ .name = "cert", .argument = "FILE", .setting = "cert", .help = "our certificate for etcd" },
	{ .name = "cert-key", .argument = "FILE", .setting = "cert-key", .help = "its key; in the file of --cert" },
	{ .name = "tls-server-name",
	    .argument = "NAME",
	    .setting = "tls-server-name",
	    .help = "the name in etcd's certificates; its host" },
	{ .name = "insecure-skip-verify",
	    .setting = "insecure-skip-verify",
	    .help = "do not check etcd's certificates" },
	{ .name = "user",
	    .argument = "NAME",
	    .setting = "user",
	    .set = set_user,
	    .help = "who we are to etcd; nobody" },
	{ .name = "password", .argument = "[=PASSWORD]", .set = refuse_password },
	{ .name = "password-file",
	    .argument = "FILE",
	    .setting = "password-file",
	    .help = "its first line is the password" },
	{ .name = "node",
	    .letter = 'n',
	    .variable = "ETCD_CHILD_IS_NODE",
	    .set = set_node,
	    .help = "the command is a Node.js module: fork() and ping it" },
	{ .name = "ping",
	    .argument = "[=fd|sd_notify]",
	    .set = set_ping,
	    .help = "ping the command, over two descriptors" },
	{ .name = "ping-start",
	    .argument = "DURATION",
	    .set = set_ping_start,
	    .help = "how long its first answer may take; the TTL" },
	{ .name = "status", .help = "say who holds the lock and who waits; runs nothing", .flag = FLAG(status) },
	{ .name = "mine", .help = "--status exits with 0 only where the holder has our id", .flag = FLAG(mine) },
	{ .name = "json", .help = "--status for programs", .flag = FLAG(json) },
	{ .name = "watch", .help = "--status again and again", .flag = FLAG(watch) },
	{ .name = "verbose", .letter = 'v', .help = "say on stderr what happens, and when", .flag = FLAG(verbose) },
	{ .name = "copy-to",
	    .argument = "FILE",
	    .set = set_copy_to,
	    .help = "copy the static program to FILE, for another image, and exit" },
	{ .name = "no-node", .set = set_no_node },
	{ .name = "no-verbose", .set = set_no_verbose },
	{ .name = "help", .letter = 'h', .help = "print this and exit" },
	{ .name = "version", .letter = 'V', .help = "print the version and exit" },
};
#define ROWS (sizeof(table) / sizeof(table[0]))

/* As getopt_long(3) has it. */
static int
argument_of(const struct option_row *row)
{
	if (row->argument == NULL)
		return no_argument;
	return row->argument[0] == '[' ? optional_argument : required_argument;
}

static const char *
variable_of(const struct option_row *row)
{
	return row->setting != NULL ? etcdlock_config_variable(row->setting) : row->variable;
}

void
options_help(FILE *stream)
{
	fputs("Usage: etcdlocker [options] [--] command [args...]\n"
	      "       etcdlocker [options] --status [--mine] [--json] [--watch]\n"
	      "       etcdlocker --copy-to FILE\n"
	      "Take a distributed lock in etcd, run COMMAND while it is held, kill COMMAND before the lock can be "
	      "lost.\n\n",
	    stream);
	for (size_t i = 0; i < ROWS; i++) {
		const struct option_row *row = &table[i];
		char left[64], letter[8] = "    ";

		if (row->help == NULL)
			continue;
		if (row->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", row->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, row->name,
		    argument_of(row) == required_argument ? " " : "", row->argument ? row->argument : "");
		fprintf(stream, "  %-34s %s", left, row->help);
		if (variable_of(row) != NULL)
			fprintf(stream, " [$%s]", variable_of(row));
		fputc('\n', stream);
	}
	fputs("\nDurations: 30, 1.5, 500ms, 2m, 1h. An option beats its variable; an empty variable is an unset one.\n"
	      "Exit status: COMMAND's own; 128+n when it or we were ended by signal n; 1 lock not acquired; 2 lock "
	      "lost;\n"
	      "3 COMMAND could not be started or killed; 4 ping failed; 64 wrong usage. See etcdlocker(1).\n",
	    stream);
}

/* Rows as getopt_long(3) wants them: val is the row's index behind all characters. */
enum { ROW_BASE = 256 };

static void
getopt_tables(char *letters, struct option *longs)
{
	*letters++ = '+'; /* stop at the first word that is no option: the rest is COMMAND's */
	*letters++ = ':'; /* tell a missing value from an unknown option */
	for (size_t i = 0; i < ROWS; i++) {
		longs[i] = (struct option){ table[i].name, argument_of(&table[i]), NULL, ROW_BASE + (int)i };
		if (table[i].letter == 0)
			continue;
		*letters++ = table[i].letter;
		if (table[i].argument != NULL)
			*letters++ = ':';
	}
	*letters = '\0';
	longs[ROWS] = (struct option){ 0 };
}

static const struct option_row *
row_of(int val)
{
	if (val >= ROW_BASE)
		return &table[val - ROW_BASE];
	for (size_t i = 0; i < ROWS; i++)
		if (val != 0 && table[i].letter == val)
			return &table[i];
	return NULL;
}

/* The variables of what was not given as an option: an option beats its variable, a malformed one too. */
static int
parse_environment(struct options *options, const bool given[ROWS], char why[OPTIONS_WHY])
{
	char wrong[OPTIONS_WHY - 64];

	for (size_t i = 0; i < ROWS; i++) {
		const char *value = table[i].variable == NULL || given[i] ? NULL : getenv(table[i].variable);

		/* --ping beats ETCD_CHILD_IS_NODE, too. */
		if (table[i].set == set_node && (options->ping != PING_WAY_NONE || options->not_node))
			continue;
		if (value == NULL || value[0] == '\0' || table[i].set(options, value, wrong, sizeof(wrong)) == 0)
			continue;
		snprintf(why, OPTIONS_WHY, "variable %s: %s", table[i].variable, wrong);
		return -1;
	}
	return etcdlock_config_from_env(options->config, why, OPTIONS_WHY);
}

static void
unknown_option(int argc, char *argv[], int val, char why[OPTIONS_WHY])
{
	const struct option_row *row = row_of(optopt);
	const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";

	if (val == ':' && row != NULL)
		snprintf(why, OPTIONS_WHY, "option %.64s needs a value: %s", word, row->argument);
	else if (row != NULL && optopt >= ROW_BASE)
		snprintf(why, OPTIONS_WHY, "option --%s takes no value", row->name);
	else if (optopt != 0 && optopt < ROW_BASE)
		snprintf(why, OPTIONS_WHY, "unknown option -%c; see etcdlocker --help", optopt);
	else
		/* Not what is behind the '=': it might be a password. */
		snprintf(why, OPTIONS_WHY, "unknown option %.*s; see etcdlocker --help", (int)strcspn(word, "="), word);
}

static int
set_option(struct options *options, const struct option_row *row, const char *value, char *why, size_t size)
{
	if (row->flag != 0) {
		*(bool *)((char *)options + row->flag) = true;
		return 0;
	}
	if (row->set != NULL)
		return row->set(options, value, why, size);
	return etcdlock_config_set(options->config, row->setting, value, why, size);
}

/* The value of the option that getopt_long(3) has just found; "" where it has none. In "-k=VALUE" the = is no part of
 * it: so etcd-lock 1.x has it, and a lock named "=VALUE" would be another one than it takes. */
static const char *
value_of_option(int argc, char *argv[])
{
	const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
	bool attached = optarg != NULL && optarg > word && optarg <= word + strlen(word);

	if (optarg == NULL)
		return "";
	return attached && word[1] != '-' && optarg[0] == '=' ? optarg + 1 : optarg;
}

static enum options_result
parse_words(struct options *options, int argc, char *argv[], bool given[ROWS], char why[OPTIONS_WHY])
{
	char letters[2 * ROWS + 3], wrong[OPTIONS_WHY - 64];
	struct option longs[ROWS + 1];
	const struct option_row *row, *last = NULL;
	int val;

	getopt_tables(letters, longs);
	opterr = 0;
	optind = 0; /* glibc: start anew, which tests need */
	while ((val = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		row = val == '?' || val == ':' ? NULL : row_of(val);
		if (row == NULL) {
			unknown_option(argc, argv, val, why);
			return OPTIONS_WRONG;
		}
		if (row->letter == 'h')
			return OPTIONS_HELP;
		if (row->letter == 'V')
			return OPTIONS_VERSION;
		if (set_option(options, row, value_of_option(argc, argv), wrong, sizeof(wrong)) == -1) {
			snprintf(why, OPTIONS_WHY, "option --%s: %s", row->name, wrong);
			return OPTIONS_WRONG;
		}
		given[row - table] = true;
		last = optarg == NULL ? row : NULL;
	}
	if (options->copy_to != NULL)
		return OPTIONS_COPY;
	if (last != NULL && hint_value_apart(last->name, last->argument, argv + optind, why))
		return OPTIONS_WRONG;
	return OPTIONS_RUN;
}

/* A module is run by node. Returns 0, or -1 when memory is short. */
static int
take_command(struct options *options, char *const words[], size_t count)
{
	size_t before = options->ping == PING_WAY_NODE;

	options->words = calloc(before + count + 1, sizeof(*options->words));
	if (options->words == NULL)
		return -1;
	if (before > 0)
		options->words[0] = (char *)(uintptr_t)node_find(options->node, sizeof(options->node));
	memcpy(options->words + before, words, count * sizeof(*words));
	options->command = options->words;
	return 0;
}

enum options_result
options_parse(struct options *options, int argc, char *argv[], char why[OPTIONS_WHY])
{
	bool given[ROWS] = { false }, key_given;
	enum options_result result;

	*options =
	    (struct options){ .grace = 8 * NSEC_PER_SEC, .conflict_code = 1, .signal = SIGTERM, .notify_fd = -1 };
	options->config = etcdlock_config_new();
	if (options->config == NULL) {
		snprintf(why, OPTIONS_WHY, "no memory");
		return OPTIONS_WRONG;
	}
	result = parse_words(options, argc, argv, given, why);
	if (result != OPTIONS_RUN)
		return result;
	key_given = etcdlock_config_key(options->config) != NULL;
	if (parse_environment(options, given, why) == -1)
		return OPTIONS_WRONG;
	options->key = etcdlock_config_key(options->config);
	if (options->key == NULL) {
		hint_no_key(argv + optind, why);
		return OPTIONS_WRONG;
	}
	if (!key_given && hint_key_of_parent(options->key, why))
		return OPTIONS_WRONG;
	if (!options->status && optind >= argc) {
		snprintf(why, OPTIONS_WHY,
		    "no command: say what to run while the lock is held, as in etcdlocker -k %.64s -- date",
		    options->key);
		return OPTIONS_WRONG;
	}
	if (options->status && optind < argc) {
		snprintf(why, OPTIONS_WHY, "--status runs no command; leave '%.64s' out", argv[optind]);
		return OPTIONS_WRONG;
	}
	if (options->ping_start > 0 && options->ping == PING_WAY_NONE) {
		snprintf(why, OPTIONS_WHY, "--ping-start is about the first ping; add -n or --ping");
		return OPTIONS_WRONG;
	}
	if (!options->status && (options->json || options->watch || options->mine)) {
		snprintf(why, OPTIONS_WHY, "--json, --watch and --mine say how --status is to be told; add it");
		return OPTIONS_WRONG;
	}
	if (take_command(options, argv + optind, (size_t)(argc - optind)) == -1) {
		snprintf(why, OPTIONS_WHY, "no memory");
		return OPTIONS_WRONG;
	}
	if (etcdlock_config_check(options->config, why, OPTIONS_WHY) == -1)
		return OPTIONS_WRONG;
	return options->status ? OPTIONS_STATUS : OPTIONS_RUN;
}

void
options_free(struct options *options)
{
	etcdlock_config_free(options->config);
	options->config = NULL;
	free(options->words);
	options->words = NULL;
}
