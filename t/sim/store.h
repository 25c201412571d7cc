/* What raft replicates: etcd's keys with their history, and its leases. Pure: it knows no time and no members. */
#ifndef T_SIM_STORE_H
#define T_SIM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* A key as it was from revision MOD on. */
struct version {
	int64_t create, mod, count; /* COUNT: of versions since its creation */
	int64_t lease;              /* 0: none */
	bool deleted;
	char *value64;
	struct version *before; /* NULL: it was not there, or that is compacted */
};

struct key {
	char *name, *name64;
	struct version *latest;
	TAILQ_ENTRY(key) link; /* in the order of names */
};

/* What one revision has done to one key. */
struct change {
	struct key *key;
	struct version *version;
};

struct lease {
	int64_t id, ttl_s;
	int64_t granted, ended; /* revisions of the store; ENDED: -1, it has not */
	TAILQ_ENTRY(lease) link;
};

struct store {
	uint64_t cluster;
	int64_t revision, compacted;
	TAILQ_HEAD(, key) keys;
	struct change *changes; /* in their order */
	size_t change_count, change_room;
	TAILQ_HEAD(, lease) leases; /* the ended ones, too */
	bool writing;               /* a transaction has written already: what comes has its revision */
};

void store_init(struct store *store, uint64_t cluster);
void store_free(struct store *store);

/* Everything between these two has one revision. */
void store_begin(struct store *store);
void store_commit(struct store *store);

struct key *store_key(struct store *store, const char *name);

/* KEY as it was at REVISION; NULL: it was not there. */
const struct version *store_at(const struct key *key, int64_t revision);

/* The same of now. */
const struct version *store_now(const struct key *key);

/* VALUE64 is copied. */
void store_put(struct store *store, const char *name, const char *name64, const char *value64, int64_t lease);

/* False where there is none. */
bool store_delete(struct store *store, struct key *key);

/* NULL: there is none, or no more. */
struct lease *store_lease(struct store *store, int64_t id);
struct lease *store_grant(struct store *store, int64_t id, int64_t ttl_s);

/* It goes, with its keys. */
void store_revoke(struct store *store, struct lease *lease);

void store_compact(struct store *store, int64_t revision);

/* The store as it was at REVISION, which is not compacted. */
void store_restore(struct store *store, int64_t revision);

#endif
