/* etcd's JSON gateway, bytes for bytes: /v3 requests to a store and its answers. Nothing here takes time.
 *
 * The format is etcd's rpc.proto and kv.proto, as grpc-gateway writes them in etcd 3.4 and 3.5. A test compares it with
 * a real etcd: t/integration/sim.t. */
#ifndef T_SIM_GATEWAY_H
#define T_SIM_GATEWAY_H

#include "store.h"

#include <jansson.h>

/* A text that grows. */
struct text {
	char *bytes;
	size_t len, room;
};

__attribute__((format(printf, 2, 3))) void text_add(struct text *text, const char *format, ...);

/* What stands in the header of an answer. */
struct header {
	uint64_t cluster, member, term;
	int64_t revision;
};

void print_header(struct text *text, const struct header *header);

enum {
	CODE_UNKNOWN = 2,
	CODE_INVALID = 3,
	CODE_NOT_FOUND = 5,
	CODE_EXHAUSTED = 8,
	CODE_PRECONDITION = 9,
	CODE_RANGE = 11,
	CODE_UNAVAILABLE = 14,
	CODE_UNAUTHENTICATED = 16
};

/* An error's body. Returns its HTTP status. */
long print_error(struct text *text, int code, const char *words);

/* True for what only reads, and true for what a full etcd refuses. */
bool gateway_reads(const char *path);
bool gateway_needs_room(const char *path, const json_t *request);

/* The write or read REQUEST at PATH, carried out. HEADER's revision is set. FULL: etcd has no space. AT: the revision
 * of a member that answers from what it has; 0: all of it. Returns the HTTP status, and in TEXT the body. */
long gateway_apply(
    struct store *store, const char *path, const json_t *request, struct header *header, int64_t at, struct text *text);

/* The integer NAME of OBJECT, as a string or not. */
int64_t gateway_int(const json_t *object, const char *name);

/* The bytes of base64 TEXT64, as a new string; NULL where it is none. */
char *gateway_bytes(const char *text64);

/* {"kv":...,"prev_kv":...} of a watch. */
void print_change(struct text *text, const struct change *change, bool before);

#endif
