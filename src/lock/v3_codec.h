/* etcd's v3 API as JSON: what goes into a request, what comes out of an answer. No I/O.
 *
 * The format: etcd's rpc.proto through grpc-gateway's JSON mapping. Integers of 64 bits are strings, keys and
 * values are base64, and zero, false and empty fields are left out of answers.
 *
 * Encoders return a new string, or NULL when memory is short. Decoders return NULL, or a static text that
 * says what is wrong with the answer. */
#ifndef LOCK_V3_CODEC_H
#define LOCK_V3_CODEC_H

#include "lock/etcdlock.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one contender's key looks like on the wire. */
struct v3_names {
	char *prefix;     /* KEY/ */
	char *key;        /* KEY/<lease in hex> */
	char *prefix64;   /* base64 of PREFIX */
	char *end64;      /* base64 of the first key behind the prefix */
	char *key64;      /* base64 of KEY */
	char *id64;       /* base64 of the id */
	char *released64; /* base64 of the released mark: NUL and the id */
};

/* Fill NAMES for the lock name LOCK, the contender's ID and the lease in its key. 0, or -1: no memory. */
__attribute__((warn_unused_result)) int
v3_names_init(struct v3_names *names, const char *lock, const char *id, int64_t lease);
void v3_names_free(struct v3_names *names);

/* Get a token for USER. */
char *v3_encode_authenticate(const char *user, const char *password);

char *v3_encode_grant(int64_t lease, int64_t ttl_s);
char *v3_encode_lease(int64_t lease); /* revoke, keepalive */

/* Put our key on LEASE unless it exists; read the queue either way. */
char *v3_encode_join(const struct v3_names *names, int64_t lease);

/* Read the queue. */
char *v3_encode_queue(const struct v3_names *names);

/* Move our key to LEASE if its mod revision is still MOD_REVISION; else read it. */
char *v3_encode_move(const struct v3_names *names, int64_t mod_revision, int64_t lease);

/* Put the released mark into our key if its create revision is CREATE_REVISION, and count the queue. */
char *v3_encode_mark(const struct v3_names *names, int64_t create_revision);

/* Delete our key if its create revision is CREATE_REVISION. */
char *v3_encode_delete(const struct v3_names *names, int64_t create_revision);

/* Carry out OPS if our key's create revision is CREATE_REVISION. */
char *
v3_encode_guarded(const struct v3_names *names, int64_t create_revision, const struct etcdlock_op *ops, size_t count);

/* Watch KEY from START_REVISION on; where BEFORE, be told what it was before each change, too. */
char *v3_encode_watch(const char *key, int64_t start_revision, bool before);

struct v3_kv {
	char *key; /* own; a NUL behind its last byte */
	size_t key_len;
	char *value;
	size_t value_len;
	int64_t create_revision, mod_revision, lease;
};

void v3_kv_free(struct v3_kv *kv);

/* True where KV's value is the mark of a holder that released the lock, its command being dead. */
bool v3_kv_released(const struct v3_kv *kv);

/* The keys of one lock, oldest create revision first, and of one revision in the order of their names; keys of nested
 * lock names are left out. */
struct v3_queue {
	int64_t revision; /* of the store when it was read */
	struct v3_kv *entries;
	size_t count;
};

void v3_queue_free(struct v3_queue *queue);

/* Decode the answer to v3_encode_queue() or, where JOINED, to v3_encode_join(). Free the queue after success. */
const char *v3_decode_queue(const json_t *answer, const struct v3_names *names, bool joined, struct v3_queue *queue);

/* What etcd says of itself in each answer. */
struct v3_header {
	uint64_t cluster; /* 0: not told */
	int64_t revision; /* of the store, as the member that answered has it; 0: not told */
};

/* The header of any answer, or of a message of a stream. */
const char *v3_decode_header(const json_t *answer, struct v3_header *header);

struct v3_grant {
	int64_t lease, ttl_s;
};

const char *v3_decode_grant(const json_t *answer, struct v3_grant *grant);

/* The token of an answer to v3_encode_authenticate(), borrowed from it: printable, without blanks. */
const char *v3_decode_token(const json_t *answer, const char **token);

/* The TTL of a keepalive's answer in seconds; 0: the lease is gone. */
const char *v3_decode_keepalive(const json_t *answer, int64_t *ttl_s);

/* The seconds that are left of a lease, says the answer to a timetolive request; -1: it is gone. */
const char *v3_decode_time_left(const json_t *answer, int64_t *left_s);

/* The answer to v3_encode_move(). Where it did not succeed, KV is our key; kv.key == NULL: it is gone. */
struct v3_move {
	bool succeeded;
	int64_t revision;
	struct v3_kv kv; /* free it */
};

const char *v3_decode_move(const json_t *answer, struct v3_move *move);

/* How many keys are below the prefix, says the answer to v3_encode_mark(); 0 where our key was gone. */
const char *v3_decode_mark(const json_t *answer, int64_t *count);

/* The answer to v3_encode_guarded(): whether it was carried out, and the store's revision then. */
const char *v3_decode_guarded(const json_t *answer, bool *succeeded, int64_t *revision);

/* One message of a watch stream. */
struct v3_watch_message {
	int64_t revision; /* of the store; 0: not told */
	bool created;
	const char *ended;        /* why the watch is over, borrowed from the message; or NULL */
	int64_t compact_revision; /* > 0: history before it is gone */
	size_t events;
};

const char *v3_decode_watch(const json_t *object, struct v3_watch_message *message);

struct v3_event {
	bool deleted;
	struct v3_kv kv;
	struct v3_kv before; /* before.key == NULL: not told */
};

/* Event number INDEX < message.events. Free it with v3_event_free() after success. */
const char *v3_decode_event(const json_t *object, size_t index, struct v3_event *event);
void v3_event_free(struct v3_event *event);

/* What a unary answer amounts to. */
enum v3_verdict {
	V3_OK,
	V3_TRANSIENT,       /* the same request may work later, or elsewhere */
	V3_REFUSED,         /* etcd means it */
	V3_NO_SPACE,        /* so does one that is full: it takes no lease and no put, but keepalives and deletes */
	V3_UNAUTHENTICATED, /* it wants to know who asks, or does not take the token */
	V3_NO_AUTH,         /* it has no users, says the answer to v3_encode_authenticate() */
	V3_LEASE_GONE,      /* no such lease */
	V3_LEASE_EXISTS,    /* a grant of that id has already worked */
	V3_NOT_ETCD         /* no etcd with a v3 JSON gateway is speaking */
};

#define V3_TEXT 256

/* True where TEXT, an error of etcd's, is about the token that came with a request, and another one may do. */
bool v3_blames_token(const char *text);

/* Judge an answer with HTTP status STATUS and LEN bytes of BODY. For V3_OK *ANSWER is a new reference to the
 * object; else TEXT says what was answered, in etcd's own words. */
enum v3_verdict v3_judge(long status, const char *body, size_t len, json_t **answer, char text[V3_TEXT]);

#endif
