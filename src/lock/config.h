/* A configuration from the inside: what the settings of etcdlock_config_set() amount to. */
#ifndef LOCK_CONFIG_H
#define LOCK_CONFIG_H

#include "lock/etcdlock.h"
#include "lock/timing.h"
#include "net/tls.h"

#define CONFIG_SETTINGS 20

enum renewal {
	RENEW_RAFT,     /* each time a new lease, and the key moved to it: survives etcd's stale leaders */
	RENEW_KEEPALIVE /* spares etcd the writes; a leader that was frozen can confirm what is gone */
};

struct etcdlock_config {
	char *endpoints, *key; /* KEY is NULL until it is set */
	char *id;              /* NULL until it is set: see etcdlock_config_id() */
	char *host;            /* the host's name */
	char *v2_id;           /* and the id that goes with it where etcd-lock 1.x may be about */
	char *discovery_srv;   /* a domain, whose SRV records say where etcd is; NULL: ENDPOINTS do */
	char *user;            /* NULL: nobody */
	char *password;        /* a secret; NULL: none yet */
	char *password_file;   /* that it is from, and where it may change; or NULL */
	struct tls tls;
	struct timing timing; /* as asked for */
	enum renewal renewal;
	bool v2;                     /* etcd's API; else v3 */
	bool given[CONFIG_SETTINGS]; /* set by hand */
};

#endif
