/* What the locks of one cluster share. */
#ifndef LOCK_CLIENT_H
#define LOCK_CLIENT_H

#include "etcd/session.h"
#include "lock/etcdlock.h"

struct etcdlock_client {
	struct session *session;
	size_t locks; /* that share it */
};

/* Adds to TEXT, an error of etcd's that has room for SIZE bytes, what it takes: a user, or a role for the lock KEY. */
void client_explain(const struct session *session, const char *key, char *text, size_t size);

#endif
