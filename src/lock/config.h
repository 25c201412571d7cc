/* A configuration from the inside: what the settings of etcdlock_config_set() amount to. */
#ifndef LOCK_CONFIG_H
#define LOCK_CONFIG_H

#include "lock/etcdlock.h"
#include "lock/timing.h"

#define CONFIG_SETTINGS 11

enum renewal {
	RENEW_RAFT,     /* each time a new lease, and the key moved to it: survives etcd's stale leaders */
	RENEW_KEEPALIVE /* spares etcd the writes; a leader that was frozen can confirm what is gone */
};

struct etcdlock_config {
	char *endpoints, *key, *id; /* KEY is NULL until it is set */
	struct timing timing;       /* as asked for */
	enum renewal renewal;
	bool v2;                     /* etcd's API; else v3 */
	bool given[CONFIG_SETTINGS]; /* set by hand */
};

#endif
