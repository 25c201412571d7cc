/* What the locks of one cluster share. */
#ifndef LOCK_CLIENT_H
#define LOCK_CLIENT_H

#include "base/log.h"
#include "lock/etcdlock.h"
#include "net/endpoints.h"
#include "net/http.h"
#include "net/loop.h"

struct watches;

struct etcdlock_client {
	struct loop *loop;
	struct http *http;
	struct endpoints *endpoints;
	struct watches *watches;
	size_t locks; /* that share it */
	struct logger log;
};

/* http_start() with PATH at ENDPOINT; SPEC says the rest. NULL when memory is short. */
__attribute__((warn_unused_result)) struct http_request *client_send(
    struct etcdlock_client *client, const struct endpoint *endpoint, const char *path, const struct http_spec *spec);

#endif
