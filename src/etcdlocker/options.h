/* The command line and the variables that stand in for it. */
#ifndef ETCDLOCKER_OPTIONS_H
#define ETCDLOCKER_OPTIONS_H

#include "base/clock.h"
#include "child/pinger.h"
#include "lock/etcdlock.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

enum restart { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct options {
	struct etcdlock_config *config; /* what is the lock's */
	const char *key;                /* CONFIG's */
	nsec grace;                     /* for COMMAND to end in after a stop signal */
	int conflict_code;              /* 0 to 255 */
	int signal;                     /* the stop signal that we send of our own accord */
	unsigned char rewrite[NSIG];    /* by the signal that we get: the one that COMMAND gets, plus 1; 0: the same */
	enum restart restart;           /* of COMMAND, while the lock is held */
	int notify_fd;                  /* gets a newline when we are ready; -1: none */
	bool ready_child;               /* COMMAND says itself when it is ready */
	bool group;                     /* signals for COMMAND go to its process group */
	bool relock;                    /* after its loss, or COMMAND's end */
	bool verbose, status, json, watch;
	bool not_node;      /* --no-node: whatever the variable says */
	bool mine;          /* --status is about who has our id */
	bool password_seen; /* it was on the command line */
	enum ping_way ping;
	nsec ping_start;      /* for the first answer; 0: the TTL */
	char node[PATH_MAX];  /* the program that runs modules, where it was looked for */
	const char *copy_to;  /* where this program is to be copied; NULL: nowhere */
	char **words;         /* ours */
	char *const *command; /* NULL-terminated, at least one word */
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_STATUS,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_COPY,
	OPTIONS_WRONG /* WHY says what, and what would work */
};

#define OPTIONS_WHY 512

/* Parse ARGV; variables come from the environment. Words in *OPTIONS point into ARGV; free it in any case. */
enum options_result options_parse(struct options *options, int argc, char *argv[], char why[OPTIONS_WHY]);

void options_free(struct options *options);

/* --help, from the same table that options_parse() reads. */
void options_help(FILE *stream);

#endif
