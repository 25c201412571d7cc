#include "store.h"

#include "heap.h"

#include <stdlib.h>
#include <string.h>

static void
versions_free(struct version *version)
{
	while (version != NULL) {
		struct version *before = version->before;

		free(version->value64);
		free(version);
		version = before;
	}
}

void
store_init(struct store *store, uint64_t cluster)
{
	*store = (struct store){ .cluster = cluster, .revision = 1 };
	TAILQ_INIT(&store->keys);
	TAILQ_INIT(&store->leases);
}

void
store_free(struct store *store)
{
	struct key *key;
	struct lease *lease;

	while ((key = TAILQ_FIRST(&store->keys)) != NULL) {
		TAILQ_REMOVE(&store->keys, key, link);
		versions_free(key->latest);
		free(key->name);
		free(key->name64);
		free(key);
	}
	while ((lease = TAILQ_FIRST(&store->leases)) != NULL) {
		TAILQ_REMOVE(&store->leases, lease, link);
		free(lease);
	}
	free(store->changes);
}

void
store_begin(struct store *store)
{
	store->writing = false;
}

void
store_commit(struct store *store)
{
	store->writing = false;
}

static int64_t
next_revision(struct store *store)
{
	if (!store->writing)
		store->revision++;
	store->writing = true;
	return store->revision;
}

struct key *
store_key(struct store *store, const char *name)
{
	struct key *key;

	TAILQ_FOREACH(key, &store->keys, link)
	if (strcmp(key->name, name) == 0)
		return key;
	return NULL;
}

static struct key *
make_key(struct store *store, const char *name, const char *name64)
{
	struct key *key = heap_zeroed(sizeof(*key)), *other;

	key->name = strdup(name);
	key->name64 = strdup(name64);
	TAILQ_FOREACH(other, &store->keys, link)
	if (strcmp(other->name, name) > 0)
		break;
	if (other == NULL)
		TAILQ_INSERT_TAIL(&store->keys, key, link);
	else
		TAILQ_INSERT_BEFORE(other, key, link);
	return key;
}

const struct version *
store_at(const struct key *key, int64_t revision)
{
	const struct version *version = key->latest;

	while (version != NULL && version->mod > revision)
		version = version->before;
	return version == NULL || version->deleted ? NULL : version;
}

const struct version *
store_now(const struct key *key)
{
	return store_at(key, INT64_MAX);
}

static void
add_change(struct store *store, struct key *key, struct version *version)
{
	if (store->change_count == store->change_room) {
		store->change_room = store->change_room == 0 ? 64 : 2 * store->change_room;
		store->changes = realloc(store->changes, store->change_room * sizeof(*store->changes));
		if (store->changes == NULL)
			abort();
	}
	store->changes[store->change_count++] = (struct change){ .key = key, .version = version };
	version->before = key->latest;
	key->latest = version;
}

void
store_put(struct store *store, const char *name, const char *name64, const char *value64, int64_t lease)
{
	struct key *key = store_key(store, name);
	const struct version *now;
	struct version *version = heap_zeroed(sizeof(*version));

	if (key == NULL)
		key = make_key(store, name, name64);
	now = store_now(key);
	version->mod = next_revision(store);
	version->create = now == NULL ? version->mod : now->create;
	version->count = now == NULL ? 1 : now->count + 1;
	version->lease = lease;
	version->value64 = strdup(value64);
	add_change(store, key, version);
}

bool
store_delete(struct store *store, struct key *key)
{
	struct version *version;

	if (store_now(key) == NULL)
		return false;
	version = heap_zeroed(sizeof(*version));
	version->mod = next_revision(store);
	version->deleted = true;
	add_change(store, key, version);
	return true;
}

struct lease *
store_lease(struct store *store, int64_t id)
{
	struct lease *lease;

	TAILQ_FOREACH(lease, &store->leases, link)
	if (lease->id == id && lease->ended == -1)
		return lease;
	return NULL;
}

struct lease *
store_grant(struct store *store, int64_t id, int64_t ttl_s)
{
	struct lease *lease = heap_zeroed(sizeof(*lease));

	*lease = (struct lease){ .id = id, .ttl_s = ttl_s, .granted = store->revision, .ended = -1 };
	TAILQ_INSERT_HEAD(&store->leases, lease, link);
	return lease;
}

void
store_revoke(struct store *store, struct lease *lease)
{
	struct key *key;

	store_begin(store);
	TAILQ_FOREACH(key, &store->keys, link)
	{
		const struct version *now = store_now(key);

		if (now != NULL && now->lease == lease->id)
			(void)store_delete(store, key);
	}
	store_commit(store);
	lease->ended = store->revision;
}

/* What is older than KEPT goes. */
static void
forget_before(struct version *kept)
{
	versions_free(kept->before);
	kept->before = NULL;
}

void
store_compact(struct store *store, int64_t revision)
{
	struct key *key, *next;
	struct lease *lease, *other;
	size_t gone = 0;

	if (revision <= store->compacted || revision > store->revision)
		return;
	store->compacted = revision;
	while (gone < store->change_count && store->changes[gone].version->mod < revision)
		gone++;
	store->change_count -= gone;
	if (gone > 0)
		memmove(store->changes, store->changes + gone, store->change_count * sizeof(*store->changes));
	for (key = TAILQ_FIRST(&store->keys); key != NULL; key = next) {
		struct version *version = key->latest;

		next = TAILQ_NEXT(key, link);
		while (version != NULL && version->mod >= revision)
			version = version->before;
		if (version == NULL)
			continue;
		if (version != key->latest || !version->deleted) {
			forget_before(version);
			continue;
		}
		TAILQ_REMOVE(&store->keys, key, link);
		versions_free(version);
		free(key->name);
		free(key->name64);
		free(key);
	}
	for (lease = TAILQ_FIRST(&store->leases); lease != NULL; lease = other) {
		other = TAILQ_NEXT(lease, link);
		if (lease->ended == -1 || lease->ended >= revision)
			continue;
		TAILQ_REMOVE(&store->leases, lease, link);
		free(lease);
	}
}

void
store_restore(struct store *store, int64_t revision)
{
	struct lease *lease, *next;

	while (store->change_count > 0) {
		struct change *last = &store->changes[store->change_count - 1];

		if (last->version->mod <= revision)
			break;
		last->key->latest = last->version->before;
		last->version->before = NULL;
		versions_free(last->version);
		store->change_count--;
	}
	for (lease = TAILQ_FIRST(&store->leases); lease != NULL; lease = next) {
		next = TAILQ_NEXT(lease, link);
		if (lease->granted <= revision) {
			if (lease->ended > revision)
				lease->ended = -1;
			continue;
		}
		TAILQ_REMOVE(&store->leases, lease, link);
		free(lease);
	}
	store->revision = revision;
}
