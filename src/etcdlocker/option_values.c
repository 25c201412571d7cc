#include "etcdlocker/option_values.h"

#include "base/duration.h"
#include "child/signals.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
set_try(struct options *options, const char *value, char *why, size_t size)
{
	(void)value;
	return etcdlock_config_set(options->config, "wait", "0", why, size);
}

/* The lock's grace has to fit into the lease; COMMAND has the whole one while the lock is renewed. */
int
set_grace(struct options *options, const char *value, char *why, size_t size)
{
	const char *wrong;

	if (etcdlock_config_set(options->config, "grace", value, why, size) == -1)
		return -1;
	return duration_parse(value, &options->grace, &wrong);
}

int
set_conflict_code(struct options *options, const char *value, char *why, size_t size)
{
	char *end;
	long code = strtol(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end != '\0' || code > 255) {
		snprintf(why, size, "'%.64s' is not an exit code; 0 to 255 work", value);
		return -1;
	}
	options->conflict_code = (int)code;
	return 0;
}

int
set_signal(struct options *options, const char *value, char *why, size_t size)
{
	options->signal = signal_parse(value);
	if (options->signal != -1 && signal_can_end(options->signal))
		return 0;
	snprintf(
	    why, size, "'%.64s' is not a signal that asks to end; TERM, INT, USR1, RTMIN+3 or a number work", value);
	return -1;
}

int
set_rewrite(struct options *options, const char *value, char *why, size_t size)
{
	const char *equals = strchr(value, '=');
	char name[SIGNAL_NAME];
	int from = -1, to = -1;

	if (equals != NULL && (size_t)(equals - value) < sizeof(name)) {
		snprintf(name, sizeof(name), "%.*s", (int)(equals - value), value);
		from = signal_parse(name);
		to = strcmp(equals + 1, "0") == 0 ? 0 : signal_parse(equals + 1);
	}
	if (from == -1 || to == -1 || signals_are_ours(from) || from == SIGKILL || from == SIGSTOP) {
		snprintf(why, size,
		    "'%.64s' does not rewrite a signal that is passed on; TERM=QUIT works, and HUP=0 to drop one",
		    value);
		return -1;
	}
	options->rewrite[from] = (unsigned char)(to + 1);
	return 0;
}

int
set_restart(struct options *options, const char *value, char *why, size_t size)
{
	if (value[0] == '\0' || strcmp(value, "on-failure") == 0)
		options->restart = RESTART_ON_FAILURE;
	else if (strcmp(value, "always") == 0)
		options->restart = RESTART_ALWAYS;
	else {
		snprintf(why, size, "'%.64s' is not when to restart; on-failure and always are", value);
		return -1;
	}
	return 0;
}

int
set_ready(struct options *options, const char *value, char *why, size_t size)
{
	options->ready_child = strcmp(value, "child") == 0;
	if (options->ready_child || strcmp(value, "started") == 0)
		return 0;
	snprintf(why, size, "'%.64s' is not when we are ready; started and child are", value);
	return -1;
}

int
set_notify_fd(struct options *options, const char *value, char *why, size_t size)
{
	char *end;
	long fd = strtol(value, &end, 10);

	if (value[0] >= '0' && value[0] <= '9' && *end == '\0' && fd > 2 && fd <= INT_MAX &&
	    fcntl((int)fd, F_GETFD) != -1) {
		options->notify_fd = (int)fd;
		return 0;
	}
	snprintf(why, size, "'%.64s' is not a descriptor above 2 that is open; s6's notification-fd is", value);
	return -1;
}

static int
set_way(struct options *options, enum ping_way way, char *why, size_t size)
{
	if (options->ping != PING_WAY_NONE && options->ping != way) {
		snprintf(
		    why, size, "the command is pinged in one way; choose between -n, --ping=fd and --ping=sd_notify");
		return -1;
	}
	options->ping = way;
	return 0;
}

int
set_node(struct options *options, const char *value, char *why, size_t size)
{
	(void)value;
	return set_way(options, PING_WAY_NODE, why, size);
}

/* What etcd-lock 1.x takes, too: the opposite of -n, and of -v. */
int
set_no_node(struct options *options, const char *value, char *why, size_t size)
{
	(void)value;
	(void)why;
	(void)size;
	options->not_node = true;
	if (options->ping == PING_WAY_NODE)
		options->ping = PING_WAY_NONE;
	return 0;
}

int
set_no_verbose(struct options *options, const char *value, char *why, size_t size)
{
	(void)value;
	(void)why;
	(void)size;
	options->verbose = false;
	return 0;
}

int
set_ping(struct options *options, const char *value, char *why, size_t size)
{
	if (value[0] == '\0' || strcmp(value, "fd") == 0)
		return set_way(options, PING_WAY_LINES, why, size);
	if (strcmp(value, "sd_notify") == 0)
		return set_way(options, PING_WAY_NOTIFY, why, size);
	snprintf(why, size, "'%.64s' is not a way to ping; fd and sd_notify are", value);
	return -1;
}

int
set_ping_start(struct options *options, const char *value, char *why, size_t size)
{
	const char *wrong;

	if (duration_parse(value, &options->ping_start, &wrong) == 0) {
		if (options->ping_start > 0)
			return 0;
		wrong = "no time to answer in";
	}
	snprintf(why, size, "'%.64s' is %s", value, wrong);
	return -1;
}

/* What stands on a command line any user of the machine can read: it is taken off at once. */
int
set_user(struct options *options, const char *value, char *why, size_t size)
{
	char *colon = strchr(value, ':');

	if (etcdlock_config_set(options->config, "user", value, why, size) == -1)
		return -1;
	if (colon != NULL) {
		explicit_bzero(colon, strlen(colon));
		options->password_seen = true;
	}
	return 0;
}

int
set_copy_to(struct options *options, const char *value, char *why, size_t size)
{
	options->copy_to = value;
	if (value[0] != '\0')
		return 0;
	snprintf(why, size, "'' is not a file; /shared/etcdlocker would be");
	return -1;
}

/* etcdctl's; and to getopt_long(3) it would be the beginning of --password-file, with the password in a message. */
int
refuse_password(struct options *options, const char *value, char *why, size_t size)
{
	(void)options;
	(void)value;
	snprintf(why, size,
	    "every user of this machine can read a command line; use --password-file FILE or ETCD_LOCK_PASSWORD");
	return -1;
}
