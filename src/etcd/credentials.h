/* What a session's requests say of who we are: the header "Authorization", and who waits for it.
 *
 * With v3 a user's name and password are exchanged for a token, which goes with every request: etcd's rpc.proto,
 * Authenticate. A token ends when it is not used for a while, at a given time (JWT), with the server that made it or
 * with the password; then token.c fetches another one, and what was refused is sent again. With v2 name and password go
 * with every request themselves (RFC 7617). */
#ifndef ETCD_CREDENTIALS_H
#define ETCD_CREDENTIALS_H

#include "base/clock.h"
#include "base/queue.h"

#include <stdbool.h>

struct call_trouble;
struct credentials;
struct verdict;

/* A request that waits for a header. It is embedded in its owner, which sets the functions and ARG once, the rest zero.
 * They are called from inside an answer: they note what happened, and send nothing. */
struct credentials_waiter {
	void (*ready)(void *arg);
	/* etcd does not take user and password: its answer. */
	void (*refused)(void *arg, const struct verdict *verdict);
	/* A try for a token failed; the next one is coming. */
	void (*trouble)(void *arg, const struct call_trouble *trouble);
	void *arg;

	struct credentials *waits_for; /* NULL: for none */
	TAILQ_ENTRY(credentials_waiter) link;
};

/* Where headers come from. */
struct credentials_source {
	/* A header is wanted. It is fetched later: nothing is sent from in here. */
	void (*fetch)(void *arg);
	/* The current one is not taken. Returns whether there can be another: then it is on its way, or there. */
	bool (*replace)(void *arg);
	void *arg;
};

/* Invariants: a waiter is in WAITING exactly while WAITS_FOR is set; nobody waits while READY. */
struct credentials {
	struct credentials_source source;
	char *header;    /* a secret; NULL: none is needed, or none is there yet */
	unsigned serial; /* of HEADER; grows with each, from 1 on */
	bool ready;      /* HEADER is what etcd wants, as far as we know */
	nsec stale;      /* when to fetch another one, while this one is still good */
	TAILQ_HEAD(, credentials_waiter) waiting;
};

void credentials_init(struct credentials *credentials, const struct credentials_source *source);

/* No waiter may be left. */
void credentials_clear(struct credentials *credentials);

/* True where a request can be sent; else a header is fetched. NULL is fine, here and below: there is no user. */
bool credentials_ready(struct credentials *credentials);

/* The header, or NULL: none. And its number, for credentials_reject(); 0 where there is no user. */
const char *credentials_header(const struct credentials *credentials, unsigned *serial);

/* The header of number SERIAL is not taken. Returns whether another one is there or on its way. */
bool credentials_reject(struct credentials *credentials, unsigned serial);

/* Wait until a header is there. Not for credentials that are ready. */
void credentials_wait(struct credentials *credentials, struct credentials_waiter *waiter);

/* Harmless where it does not wait. */
void credentials_stop_waiting(struct credentials_waiter *waiter);

/* --- for the source --- */

/* Forget the header: another one is needed. */
void credentials_drop(struct credentials *credentials);

/* HEADER (from malloc(), taken; NULL: etcd wants none) is good until STALE at least. The waiters are told. */
void credentials_set(struct credentials *credentials, char *header, nsec stale);

/* There will be no header: the waiters are told, and wait no more. */
void credentials_refuse(struct credentials *credentials, const struct verdict *verdict);

/* There is no header yet: the waiters are told. */
void credentials_tell_trouble(struct credentials *credentials, const struct call_trouble *trouble);

#endif
