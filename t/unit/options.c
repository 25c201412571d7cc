/* etcdlocker: the command line and the variables. */
#include "etcdlocker/options.h"
#include "lock/config.h"

#include "unit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct options options;
static struct timing timing; /* OPTIONS', worked out */
static char why[OPTIONS_WHY];

/* Parse LINE, split at blanks; "''" is an empty word. */
static enum options_result
parse(const char *line)
{
	static char copy[512], *argv[64];
	char *rest = copy, *word;
	enum options_result result;
	int argc = 1;

	strcpy(copy, line);
	argv[0] = (char *)(uintptr_t) "etcdlocker";
	while ((word = strsep(&rest, " ")) != NULL)
		if (*word != '\0')
			argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
	argv[argc] = NULL;
	why[0] = '\0';
	options_free(&options);
	result = options_parse(&options, argc, argv, why);
	timing = options.config->timing;
	if (result == OPTIONS_RUN)
		assert_int_equal(timing_resolve(&timing, why, sizeof(why)), 0);
	return result;
}

static int
clear_environment(void **state)
{
	(void)state;
	options_free(&options);
	return clearenv();
}

static void
defaults(void **state)
{
	(void)state;
	assert_int_equal(parse("-k /l cmd arg"), OPTIONS_RUN);
	assert_string_equal(options.config->endpoints, "localhost:2379");
	assert_string_equal(options.key, "/l");
	assert_true(etcdlock_config_id(options.config)[0] != '\0');
	assert_int_equal(timing.ttl_s, 60);
	assert_int_equal(timing.refresh_ms, 30000);
	assert_int_equal(timing.grace_ms, 8000);
	assert_int_equal(timing.wait_ms, -1);
	assert_int_equal(timing.connect_ms, 30000);
	assert_int_equal(timing.delay_ms, 1000);
	assert_int_equal(options.conflict_code, 1);
	assert_int_equal(options.signal, SIGTERM);
	assert_int_equal(options.config->renewal, RENEW_RAFT);
	assert_string_equal(options.command[0], "cmd");
	assert_string_equal(options.command[1], "arg");
	assert_null(options.command[2]);
}

static void
every_option(void **state)
{
	(void)state;
	assert_int_equal(parse("-e a:1,b:2 -i me -k /l -t 20 -r 5 -w 1.5 -E 75 --connect-timeout 250ms -g 2s -s USR1 "
			       "--lock-delay 0 --renew keepalive --api v3 -v -- -x"),
	    OPTIONS_RUN);
	assert_string_equal(options.config->endpoints, "a:1,b:2");
	assert_string_equal(etcdlock_config_id(options.config), "me");
	assert_int_equal(timing.ttl_s, 20);
	assert_int_equal(timing.refresh_ms, 5000);
	assert_int_equal(timing.wait_ms, 1500);
	assert_int_equal(options.conflict_code, 75);
	assert_int_equal(timing.connect_ms, 250);
	assert_int_equal(timing.grace_ms, 2000);
	assert_int_equal(options.grace, 2 * NSEC_PER_SEC);
	assert_int_equal(options.signal, SIGUSR1);
	assert_int_equal(timing.delay_ms, 0);
	assert_int_equal(options.config->renewal, RENEW_KEEPALIVE);
	assert_true(options.verbose);
	assert_string_equal(options.command[0], "-x");
}

static void
options_stop_at_the_command(void **state)
{
	(void)state;
	assert_int_equal(parse("-k /l sh -c -v --ttl 7"), OPTIONS_RUN);
	assert_false(options.verbose);
	assert_int_equal(timing.ttl_s, 60);
	assert_string_equal(options.command[1], "-c");
	assert_int_equal(parse("--key=/l --try sh"), OPTIONS_RUN);
	assert_int_equal(timing.wait_ms, 0);
	/* As etcd-lock 1.x has it: the = is no part of the value. */
	assert_int_equal(parse("-k=/l -t=20 -vi=me -e=a:1 sh"), OPTIONS_RUN);
	assert_string_equal(options.key, "/l");
	assert_string_equal(etcdlock_config_id(options.config), "me");
	assert_string_equal(options.config->endpoints, "a:1");
	assert_int_equal(timing.ttl_s, 20);
	/* Where it is one: a word of its own, and a long option's. */
	assert_int_equal(parse("-k =/l --id==me sh"), OPTIONS_RUN);
	assert_string_equal(options.key, "=/l");
	assert_string_equal(etcdlock_config_id(options.config), "=me");
}

static void
variables_stand_in(void **state)
{
	(void)state;
	setenv("ETCD_LOCK_HOST", "env:1", 1);
	setenv("ETCD_LOCK_ID", "env-id", 1);
	setenv("ETCD_LOCK_KEY", "/env", 1);
	setenv("ETCD_LOCK_TTL", "100", 1);
	setenv("ETCD_LOCK_REFRESH", "10", 1);
	assert_int_equal(parse("cmd"), OPTIONS_RUN);
	assert_string_equal(options.config->endpoints, "env:1");
	assert_string_equal(etcdlock_config_id(options.config), "env-id");
	assert_string_equal(options.key, "/env");
	assert_int_equal(timing.ttl_s, 100);
	assert_int_equal(timing.refresh_ms, 10000);
	/* An option beats its variable, a malformed one too; an empty one is unset. */
	setenv("ETCD_LOCK_TTL", "rubbish", 1);
	setenv("ETCD_LOCK_ID", "", 1);
	assert_int_equal(parse("-t 40 -i opt cmd"), OPTIONS_RUN);
	assert_int_equal(timing.ttl_s, 40);
	assert_int_equal(parse("cmd"), OPTIONS_WRONG);
	assert_non_null(strstr(why, "ETCD_LOCK_TTL"));
	assert_int_equal(parse("--help"), OPTIONS_HELP);
	clearenv();
}

/* What etcd-lock 1.x takes. */
static void
old_habits(void **state)
{
	(void)state;
	assert_int_equal(parse("-k /l -e :4001 -r 0 -v --no-verbose --no-node true"), OPTIONS_RUN);
	assert_string_equal(options.config->endpoints, ":4001");
	assert_int_equal(timing.refresh_ms, 30000);
	assert_false(options.verbose);
	assert_string_equal(options.command[0], "true");
	/* A command of that name. */
	assert_int_equal(parse("-k /l -v true"), OPTIONS_RUN);
	assert_string_equal(options.command[0], "true");
}

/* A key that was meant for others. */
static void
keys_of_parents(void **state)
{
	(void)state;
	setenv("ETCD_LOCK_KEY", "/outer", 1);
	setenv("ETCD_LOCK_OWNER_KEY", "/outer/694d9a1c2b3e4f50", 1);
	assert_int_equal(parse("cmd"), OPTIONS_WRONG);
	assert_non_null(strstr(why, "no key: ETCD_LOCK_KEY=/outer is the lock that the etcdlocker around us holds"));
	assert_int_equal(parse("-k /inner cmd"), OPTIONS_RUN);
	setenv("ETCD_LOCK_KEY", "/other", 1);
	assert_int_equal(parse("cmd"), OPTIONS_RUN);
	/* What "etcdctl lock" gives to its command. */
	unsetenv("ETCD_LOCK_OWNER_KEY");
	setenv("ETCD_LOCK_KEY", "/name/694d9a1c2b3e4f50", 1);
	assert_int_equal(parse("cmd"), OPTIONS_RUN);
	setenv("ETCD_LOCK_REV", "7", 1);
	assert_int_equal(parse("cmd"), OPTIONS_WRONG);
	assert_non_null(strstr(why, "etcdctl lock"));
	clearenv();
}

static const struct {
	const char *line, *names;
} wrong_lines[] = {
	{ "", "no key" },
	{ "-k /l", "no command" },
	{ "-k /l --", "no command" },
	{ "cmd", "no key" },
	{ "-k '' cmd", "--key" },
	{ "-i '' -k /l cmd", "--id" },
	{ "-k", "-k needs a value" },
	{ "--key", "--key needs a value" },
	{ "--try=1 -k /l cmd", "--try takes no value" },
	{ "-Z -k /l cmd", "-Z" },
	{ "--frobnicate -k /l cmd", "--frobnicate" },
	{ "-k /l -t abc cmd", "'abc'" },
	{ "-k /l -t '' cmd", "--ttl" },
	{ "-k /l -t 0 cmd", "'0'" },
	{ "-k /l -t -5 cmd", "negative" },
	{ "-k /l -t 1.5 cmd", "whole number of seconds" },
	{ "-k /l -t 99999999999999999999 cmd", "more than 100 years" },
	{ "-k /l -r x cmd", "--refresh" },
	{ "-k /l -t 10 -r 10 cmd", "TTL of 10 s is too short" },
	{ "-k /l -t 10 -r 2 -g 20 cmd", "grace 20s" },
	{ "-k /l -t 10 -r 5 -g 3.5 cmd", "margin 1.1s" },
	{ "-k /l -w x cmd", "--wait" },
	{ "-k /l -w -1 cmd", "negative" },
	{ "-k /l -E 256 cmd", "0 to 255" },
	{ "-k /l -E -1 cmd", "0 to 255" },
	{ "-k /l -E x cmd", "'x'" },
	{ "-k /l -s NOSUCH cmd", "'NOSUCH'" },
	{ "-k /l -s 0 cmd", "'0'" },
	{ "-k /l -s STOP cmd", "asks to end" },
	{ "-k /l --connect-timeout 0 cmd", "no time to connect" },
	{ "-k /l -s 65 cmd", "'65'" },
	{ "-k /l --connect-timeout 1d cmd", "--connect-timeout" },
	{ "-k /l --lock-delay soon cmd", "--lock-delay" },
	{ "-k /l --renew gossip cmd", "raft and keepalive" },
	{ "-k /l --api v4 cmd", "v3 and v2" },
	{ "-k /l --ping-start 0 cmd", "no time to answer" },
	{ "-k /l -n --ping cmd", "one way" },
	{ "-k /l --ping=loud cmd", "loud" },
	{ "-k /l --ping-start 3 cmd", "add -n or --ping" },
	{ "-k /l -t 0x10 cmd", "whole number of seconds" },
	{ "-k /l -t 1e1 cmd", "whole number of seconds" },
	{ "-k /l -r 1e1 cmd", "not a duration" },
	{ "cmd -k /l", "no key: -k stands behind the command, which begins at 'cmd'" },
	{ "cmd --key=/l", "no key: --key=/l stands behind" },
	{ "-k /l --restart always cmd", "--restart=always" },
	{ "-k /l --restart on-failure cmd", "--restart=on-failure" },
	{ "-k /l --ping sd_notify cmd", "--ping=sd_notify" },
	{ "-k /l -v true -- cmd", "--verbose takes no value: leave 'true' out" },
	{ "-k /l --rewrite-signal 32=TERM cmd", "does not rewrite" },
	{ "-k /l --rewrite-signal TERM=33 cmd", "does not rewrite" },
	{ "-k /l -s 33 cmd", "'33'" },
	{ "-k /l -e unix:rel cmd", "unix:///path works" },
	{ "-k /l --user '' cmd", "the user's name is empty" },
	{ "-k /l --user :x cmd", "before the ':'" },
	{ "-k /l --json cmd", "--status" },
	{ "-k /l --status cmd", "leave 'cmd' out" },
};

static void
bad_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong_lines) / sizeof(wrong_lines[0]); i++) {
		if (parse(wrong_lines[i].line) != OPTIONS_WRONG || strstr(why, wrong_lines[i].names) == NULL)
			fail_msg(
			    "'%s' gave '%s', which does not say '%s'", wrong_lines[i].line, why, wrong_lines[i].names);
	}
}

static void
ways_to_ping(void **state)
{
	(void)state;
	assert_int_equal(parse("-k /l cmd"), OPTIONS_RUN);
	assert_int_equal(options.ping, PING_WAY_NONE);
	assert_int_equal(parse("-k /l --ping cmd"), OPTIONS_RUN);
	assert_int_equal(options.ping, PING_WAY_LINES);
	assert_string_equal(options.command[0], "cmd");
	assert_int_equal(parse("-k /l --ping=sd_notify --ping-start 2m cmd"), OPTIONS_RUN);
	assert_int_equal(options.ping, PING_WAY_NOTIFY);
	assert_int_equal(options.ping_start, 120 * NSEC_PER_SEC);
	assert_int_equal(parse("-k /l -n module x"), OPTIONS_RUN);
	assert_int_equal(options.ping, PING_WAY_NODE);
	/* Without a PATH it may have been found at a usual place. */
	assert_true(strcmp(options.command[0], "node") == 0 || strstr(options.command[0], "/node") != NULL);
	assert_string_equal(options.command[1], "module");
	assert_string_equal(options.command[2], "x");
	assert_null(options.command[3]);
	setenv("ETCD_CHILD_IS_NODE", "1", 1);
	setenv("ETCD_LOCK_NODE", "/opt/node", 1);
	assert_int_equal(parse("-k /l module"), OPTIONS_RUN);
	assert_string_equal(options.command[0], "/opt/node");
	/* An option beats a variable. */
	assert_int_equal(parse("-k /l --ping cmd"), OPTIONS_RUN);
	assert_int_equal(options.ping, PING_WAY_LINES);
	assert_int_equal(parse("-k /l --no-node cmd"), OPTIONS_RUN);
	assert_int_equal(options.ping, PING_WAY_NONE);
	assert_int_equal(parse("-k /l -n --ping cmd"), OPTIONS_WRONG);
	clearenv();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults, clear_environment),
		cmocka_unit_test_setup(every_option, clear_environment),
		cmocka_unit_test_setup(options_stop_at_the_command, clear_environment),
		cmocka_unit_test_setup(variables_stand_in, clear_environment),
		cmocka_unit_test_setup(old_habits, clear_environment),
		cmocka_unit_test_setup(keys_of_parents, clear_environment),
		cmocka_unit_test_setup(bad_lines, clear_environment),
		cmocka_unit_test_setup(ways_to_ping, clear_environment),
	};

	return RUN_UNITS(tests);
}
