/* What main() has found out, for both sides of the fork. */
#ifndef ETCDLOCKER_SETUP_H
#define ETCDLOCKER_SETUP_H

#include "base/log.h"
#include "child/cgroup.h"
#include "child/signals.h"
#include "etcdlocker/deadman.h"
#include "etcdlocker/options.h"
#include "etcdlocker/service.h"

struct setup {
	const struct options *options;
	const struct signal_state *signals; /* what COMMAND is to have */
	const struct logger *log;
	struct deadman *deadman;
	struct service *service;
	bool listening; /* LISTEN_PID (sd_listen_fds(3)) is ours: the sockets are for COMMAND */
	pid_t home;     /* the process group that we were started in, which is the sentinel's */
	char *words;    /* our command line, in one piece of WORDS_LEN bytes */
	size_t words_len;
	struct cgroup cgroup; /* found by the sentinel, made by the supervisor */
};

#endif
