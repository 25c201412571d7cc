/* What this lock says to etcd and what etcd answers: its place in the queue, moves of its key, the released mark, and
 * the writes that it guards. No I/O. Encoders and decoders as in etcd/v3_codec.h. */
#ifndef LOCK_V3_V3_MESSAGES_H
#define LOCK_V3_V3_MESSAGES_H

#include "etcd/v3_codec.h"
#include "lock/etcdlock.h"

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

#endif
