/* etcd's v3 API as JSON: what goes into a request, what comes out of an answer. No I/O.
 *
 * The format: etcd's rpc.proto through grpc-gateway's JSON mapping. Integers of 64 bits are strings, keys and
 * values are base64, and zero, false and empty fields are left out of answers.
 *
 * Encoders return a new string, or NULL when memory is short. Decoders return NULL, or a static text that
 * says what is wrong with the answer. */
#ifndef ETCD_V3_CODEC_H
#define ETCD_V3_CODEC_H

#include "etcd/verdict_kind.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Get a token for USER. */
char *v3_encode_authenticate(const char *user, const char *password);

/* For encoders of other requests: a 64-bit integer as it travels, for a JSON number loses what exceeds 2^53; and the
 * text of OBJECT, which it takes, and which may be NULL. */
json_t *v3_encode_int64(int64_t value);
char *v3_encode_object(json_t *object);

char *v3_encode_grant(int64_t lease, int64_t ttl_s);
char *v3_encode_lease(int64_t lease); /* revoke, keepalive */

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

/* For decoders of other answers: the integer NAME of OBJECT, which the gateway writes as a string, 0 where it is left
 * out; the revision in ANSWER's header, more than 0; and a key as it was in the store at REVISION. Free KV after
 * success. */
const char *v3_decode_int64(const json_t *object, const char *name, int64_t *value);
const char *v3_decode_revision(const json_t *answer, int64_t *revision);
const char *v3_decode_kv(const json_t *object, int64_t revision, struct v3_kv *kv);

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

/* True where TEXT, an error of etcd's, is about the token that came with a request, and another one may do. */
bool v3_blames_token(const char *text);

/* Tell the kind of a unary answer with HTTP status STATUS and LEN bytes of BODY. For VERDICT_OK *ANSWER is a new
 * reference to the object; else TEXT says what was answered, in etcd's own words. */
enum verdict_kind v3_classify(long status, const char *body, size_t len, json_t **answer, char text[VERDICT_TEXT]);

#endif
