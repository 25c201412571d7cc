/* Who a client is to etcd.
 *
 * With v3 a user's name and password are exchanged for a token, which goes with every request: etcd's rpc.proto,
 * Authenticate. A token ends when it is not used for a while, at a given time (JWT), with the server that made it or
 * with the password; then another one is fetched, and what was refused is sent again. With v2 name and password go with
 * every request themselves (RFC 7617). */
#ifndef LOCK_AUTH_H
#define LOCK_AUTH_H

#include "lock/etcdlock.h"

#include <stdbool.h>
#include <sys/queue.h>

struct auth;
struct call_trouble;

/* One who waits for a token, embedded in its owner, who sets the functions and ARG once, the rest zero. All are called
 * from the loop, and may end the waiting or begin it anew. */
struct auth_waiter {
	void (*ready)(void *arg);
	/* etcd does not take user and password: its answer, with HTTP status STATUS. */
	void (*refused)(void *arg, long status, const char *body, size_t len);
	/* A try failed; the next one is coming. */
	void (*trouble)(void *arg, const struct call_trouble *trouble);
	void *arg;

	struct auth *auth; /* that it waits for; NULL: it does not */
	unsigned told;
	TAILQ_ENTRY(auth_waiter) link;
};

/* For the user that CONFIG names, on CLIENT, whose loop, connections and endpoints are used. NULL when memory is short.
 */
struct auth *auth_new(struct etcdlock_client *client, const struct etcdlock_config *config);

/* Nobody may wait any more. NULL is fine. */
void auth_free(struct auth *auth);

/* The header "Authorization", or NULL: nobody. And a number for it, for auth_reject(). */
const char *auth_header(const struct auth *auth, unsigned *serial);

/* True where a request can be sent. NULL is fine, here and above: there is no user. */
bool auth_ready(struct auth *auth);

/* Wait until one can. Not for an AUTH that is ready. */
void auth_wait(struct auth *auth, struct auth_waiter *waiter);

/* Harmless where it does not wait. */
void auth_stop_waiting(struct auth_waiter *waiter);

/* The header of number SERIAL is not taken any more. */
void auth_reject(struct auth *auth, unsigned serial);

#endif
