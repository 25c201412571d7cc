/* The command line and the variables that stand in for it. */
#ifndef ETCDLOCKER_OPTIONS_H
#define ETCDLOCKER_OPTIONS_H

#include "base/clock.h"
#include "lock/etcdlock.h"

#include <stdbool.h>
#include <stdio.h>

struct options {
	const char *endpoints, *id, *key;
	char host[256]; /* the default id */
	struct etcdlock_timing timing;
	nsec grace; /* for COMMAND to end in after a stop signal */
	bool grace_given;
	enum etcdlock_renewal renewal;
	int conflict_code; /* 0 to 255 */
	int signal;        /* the stop signal that we send of our own accord */
	bool verbose;
	char *const *command; /* NULL-terminated, at least one word */
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_WRONG /* WHY says what, and what would work */
};

#define OPTIONS_WHY 512

/* Parse ARGV; variables come from the environment. Strings in *OPTIONS point into ARGV, the environment and
 * OPTIONS itself. */
enum options_result options_parse(struct options *options, int argc, char *argv[], char why[OPTIONS_WHY]);

/* --help, from the same table that options_parse() reads. */
void options_help(FILE *stream);

#endif
