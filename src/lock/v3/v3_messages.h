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

/* How much of the queue a join, and the first page of a look, read beside our own key: so many, and one more to be
 * known. */
#define V3_PAGE_FIRST 17

/* Put our key on LEASE unless it exists, and read it; where it was put, read the page of the queue ahead of it, too. */
char *v3_encode_join(const struct v3_names *names, int64_t lease);

/* Read our key. */
char *v3_encode_own(const struct v3_names *names);

/* Read our key, and OTHER. */
char *v3_encode_pair(const struct v3_names *names, const char *other);

/* Read our key, and a page of the queue: up to LIMIT keys of create revisions up to BELOW, the nearest to it first.
 * Where VALUES is false they come without theirs, which are somebody else's and can be large. */
char *v3_encode_page(const struct v3_names *names, int64_t below, int limit, bool values);

/* Read up to LIMIT keys below the prefix, in the order of their names, behind the last one of the answer AFTER to this;
 * NULL: from the first one on. VALUES as above. */
char *v3_encode_list(const struct v3_names *names, const json_t *after, int limit, bool values);

/* Read the COUNT keys of KVS by their names; etcd takes 128 in one transaction, unless it was told to take less. */
char *v3_encode_gets(const struct v3_kv *kvs, size_t count);

/* Move our key to LEASE if its mod revision is still MOD_REVISION; else read it. */
char *v3_encode_move(const struct v3_names *names, int64_t mod_revision, int64_t lease);

/* Put the released mark into our key if its create revision is CREATE_REVISION; and where COUNTED, count the queue,
 * which costs etcd the more the longer it is. */
char *v3_encode_mark(const struct v3_names *names, int64_t create_revision, bool counted);

/* Delete our key if its create revision is CREATE_REVISION. */
char *v3_encode_delete(const struct v3_names *names, int64_t create_revision);

/* Carry out OPS if our key's create revision is CREATE_REVISION. */
char *
v3_encode_guarded(const struct v3_names *names, int64_t create_revision, const struct etcdlock_op *ops, size_t count);

/* True where KV's value is the mark of a holder that released the lock, its command being dead: put over its id, on its
 * lease. Somebody's data that begins with a NUL is none. */
bool v3_kv_released(const struct v3_kv *kv);

/* The contenders that an answer shows, oldest create revision first, and of one revision in the order of their names.
 * Keys of nested lock names, and others that are no contender's, are left out. */
struct v3_queue {
	int64_t revision; /* of the store when it was read */
	struct v3_kv *entries;
	size_t count;
	bool more;      /* there are keys that the page has no room for */
	int64_t lowest; /* the least create revision that is in the page, of whatever key; 0: there is none */
};

void v3_queue_free(struct v3_queue *queue);

/* Move FROM's entries behind those of TO. 0, or -1: no memory, and nothing has moved. */
__attribute__((warn_unused_result)) int v3_queue_add(struct v3_queue *to, struct v3_queue *from);

/* As an answer's are sorted. */
void v3_queue_sort(struct v3_queue *queue);

/* Decode the answer to any of the encoders above that read; TXN: not v3_encode_own() and v3_encode_list(), whose
 * answers are a range alone. Free the queue after success. */
const char *v3_decode_queue(const json_t *answer, const struct v3_names *names, bool txn, struct v3_queue *queue);

/* Whether the answer to v3_encode_join() says that our key was put just now, so that it has a page. */
bool v3_decode_joined(const json_t *answer);

/* The answer to v3_encode_move(). Where it did not succeed, KV is our key; kv.key == NULL: it is gone. */
struct v3_move {
	bool succeeded;
	int64_t revision;
	struct v3_kv kv; /* free it */
};

const char *v3_decode_move(const json_t *answer, struct v3_move *move);

/* How many keys are below the prefix, says the answer to v3_encode_mark(); 0 where our key was gone, or none were
 * counted. */
const char *v3_decode_mark(const json_t *answer, int64_t *count);

/* The answer to v3_encode_guarded(): whether it was carried out, and the store's revision then. */
const char *v3_decode_guarded(const json_t *answer, bool *succeeded, int64_t *revision);

#endif
