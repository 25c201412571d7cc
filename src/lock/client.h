/* What the locks of one cluster share. */
#ifndef LOCK_CLIENT_H
#define LOCK_CLIENT_H

#include "base/log.h"
#include "lock/etcdlock.h"
#include "net/endpoints.h"
#include "net/http.h"
#include "base/loop.h"

struct auth;
struct cluster;
struct watches;

struct etcdlock_client {
	struct loop *loop;
	struct http *http;
	struct endpoints *endpoints;
	struct auth *auth; /* NULL: we are nobody */
	char *user;        /* for messages; NULL as AUTH is */
	bool beta;         /* etcd has /v3beta instead of /v3 */
	bool found;        /* there is an etcd there */
	struct watches *watches;
	struct cluster *cluster;
	struct discovery *discovery; /* of ENDPOINTS; NULL: they were given */
	char *server_name;           /* that those of https have in their certificates, where they are discovered */
	size_t locks;                /* that share it */
	struct logger log;
};

/* http_start() with PATH at ENDPOINT; SPEC says the rest. TOKEN gets the number of what says who we are, for
 * auth_reject(); NULL: the request does not say. Returns NULL when memory is short. */
__attribute__((warn_unused_result)) struct http_request *client_send(struct etcdlock_client *client,
    struct endpoint *endpoint, const char *path, const struct http_spec *spec, unsigned *token);

/* All endpoints have failed: where they were discovered, see whether there are others by now. */
void client_rediscover(struct etcdlock_client *client);

/* HTTP status STATUS was answered where no etcd seems to be: true where another try makes sense, for etcd 3.3 has its
 * API under another name (and later versions there, too). */
bool client_not_found(struct etcdlock_client *client, long status);

/* Adds to TEXT, an error of etcd's that has room for SIZE bytes, what it takes: a user, or a role for the lock KEY. */
void client_explain(const struct etcdlock_client *client, const char *key, char *text, size_t size);

#endif
