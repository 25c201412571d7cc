/* The supervisor: one loop that holds the lock and runs COMMAND under it. */
#ifndef ETCDLOCKER_SUPERVISOR_H
#define ETCDLOCKER_SUPERVISOR_H

#include "base/log.h"
#include "child/cgroup.h"
#include "child/signals.h"
#include "etcdlocker/beacon.h"
#include "etcdlocker/options.h"

struct supervisor_setup {
	const struct options *options;
	const struct signal_state *signals; /* what COMMAND is to have */
	const struct logger *log;
	struct beacon_link *link;
	struct cgroup cgroup; /* COMMAND's */
};

/* Acquire, run, release. Returns the exit code; the last line is written. */
int supervisor_run(const struct supervisor_setup *setup);

#endif
