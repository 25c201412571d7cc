/* What must never be. */
#include "node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_excused(const struct node *node)
{
	return world.now < node->excused;
}

/* What it holds it might hold until its lease is over, at the latest. */
static void
excuse(struct node *node)
{
	nsec until = world.now + etcdlock_config_ms(node->options.config, "ttl") * NSEC_PER_MSEC + NSEC_PER_SEC;

	if (node->excused < until)
		node->excused = until;
}

void
check_restored(struct node *node)
{
	excuse(node);
}

void
check_start(struct node *node, int64_t token)
{
	int64_t *last = &cluster_state.last_token[node->slot->key_number];
	struct node *other;

	TAILQ_FOREACH(other, &nodes, link)
	{
		if (other == node || other->living == 0 || strcmp(other->slot->key, node->slot->key) != 0)
			continue;
		/* Who comes after a key was deleted cannot know that it was there. */
		if ((other->deleted != 0 && node->came > other->deleted) ||
		    (node->deleted != 0 && other->came > node->deleted))
			continue;
		if (!is_excused(other) && !is_excused(node))
			broken("two: %s starts, and %d processes of %s live", node->id, other->living, other->id);
	}
	if (token != node->token) {
		world.tally.acquisitions++;
		if (token <= *last && !is_excused(node) && node->deleted == 0)
			broken("%s: token %" PRId64 " after %" PRId64, node->id, token, *last);
	}
	if (!is_excused(node))
		*last = token;
	node->token = token;
}

/* The key of NODE in etcd, as its sentinel knows it; NULL: there is none. */
static const struct version *
own_key(const struct node *node, struct key **key)
{
	const struct deadman_page *page = node->deadman.shared;
	const struct version *now;

	if (page == NULL || page->create_revision == 0)
		return NULL;
	*key = store_key(&cluster_state.store, page->owner_key);
	now = *key == NULL ? NULL : store_now(*key);
	return now != NULL && now->create == page->create_revision ? now : NULL;
}

/* OP of NODE's, done now, would let others have the lock. */
static bool
releases(const struct op *op, const struct key *key, const struct version *now)
{
	const json_t *list = json_object_get(op->request, "success");
	const json_t *guard = json_array_get(json_object_get(op->request, "compare"), 0);

	if (strstr(op->path, "revoke") != NULL)
		return now->lease == gateway_int(op->request, "ID");
	if (strcmp(op->path, "/v3/kv/txn") != 0 || gateway_int(guard, "create_revision") != now->create)
		return false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *put = json_object_get(json_array_get(list, i), "request_put");
		const json_t *range = json_object_get(json_array_get(list, i), "request_delete_range");
		const char *value = json_string_value(json_object_get(put, "value"));
		const char *deleted = json_string_value(json_object_get(range, "key"));

		/* The released mark begins with a NUL. */
		if (value != NULL && strncmp(value, "AA", 2) == 0)
			return true;
		if (deleted != NULL && strcmp(deleted, key->name64) == 0)
			return true;
	}
	return false;
}

/* NODE comes into the queue. Nothing that it has to do with any more can have been deleted. */
static void
comes(struct node *node)
{
	node->came = world.now;
	node->deleted = 0;
}

/* With v2 the first try to create the key, since it was had last, is what a newcomer does. */
static void
check_join_v2(struct node *node, const struct op *op)
{
	if (!habits.v2)
		return;
	if (node->deadman.shared != NULL && node->deadman.shared->create_revision != 0) {
		node->joined[0] = '\0';
		return;
	}
	if (strcmp(op->method, "PUT") != 0 || strstr(op->path, "prevExist=false") == NULL)
		return;
	if (node->joined[0] == '\0')
		comes(node);
	snprintf(node->joined, sizeof(node->joined), "v2");
}

/* Who has a place in the queue keeps it, where nothing happens that costs one. */
static void
check_join(struct node *node, const struct op *op)
{
	const json_t *guard = json_array_get(json_object_get(op->request, "compare"), 0);
	const json_t *put = json_object_get(json_array_get(json_object_get(op->request, "success"), 0), "request_put");
	const char *key = json_string_value(json_object_get(put, "key"));

	check_join_v2(node, op);
	if (key == NULL || strcmp(op->path, "/v3/kv/txn") != 0 || json_object_get(put, "ignore_value") != NULL ||
	    json_object_get(put, "lease") == NULL || gateway_int(guard, "create_revision") != 0)
		return;
	if (habits.gentle && !cluster_state.thawed && !node->options.relock && node->joined[0] != '\0' &&
	    strcmp(node->joined, key) != 0)
		broken("%s: queues again, and nothing has happened that costs a place", node->id);
	if (strcmp(node->joined, key) != 0)
		comes(node);
	snprintf(node->joined, sizeof(node->joined), "%s", key);
}

void
node_before_op(const struct op *op)
{
	struct node *node = op->node;
	const struct version *now;
	struct key *key;

	if (node != NULL)
		check_join(node, op);
	if (node == NULL || node->living == 0)
		return;
	/* In a restored store a late deletion of its last key can meet the same index again. */
	if (habits.v2 && !is_excused(node) && node->deadman.shared->create_revision != 0 &&
	    v2_releases(op->method, op->path, node->deadman.shared->create_revision))
		broken("%s: releases, and %d of its processes live", node->id, node->living);
	now = own_key(node, &key);
	if (now != NULL && releases(op, key, now))
		broken("%s: releases, and %d of its processes live", node->id, node->living);
}

/* KEY is NODE's, whether NODE knows already or not. */
static bool
has_key(const struct node *node, const char *key, const char *key64)
{
	const struct deadman_page *page = node->deadman.shared;

	if (habits.v2)
		return strcmp(node->slot->key, key) == 0 && strcmp(node->id, v2_owner(key)) == 0;
	if (page == NULL)
		return false;
	return strcmp(node->joined, key64) == 0 || (page->create_revision != 0 && strcmp(page->owner_key, key) == 0);
}

void
check_deleted(const char *key, const char *key64, bool calm)
{
	struct node *node;

	TAILQ_FOREACH(node, &nodes, link)
	{
		if (!has_key(node, key, key64))
			continue;
		if (node->deleted == 0)
			node->deleted = world.now;
		/* It learns of it in time only where the network and its host let it. */
		if (!calm || (node->supervisor != NULL && node->supervisor->starved >= world.now))
			excuse(node);
	}
}

void
check_lost(const struct node *node)
{
	world.tally.losses++;
	if (habits.gentle)
		broken("%s: the lock was lost, and nothing has happened that costs a lock", node->id);
}

void
check_nothing_left(void)
{
	struct key *key;
	struct lease *lease;

	if (!v2_is_empty())
		broken("a key of v2 is left behind");
	TAILQ_FOREACH(key, &cluster_state.store.keys, link)
	if (store_now(key) != NULL)
		broken("the key %s is left behind", key->name);
	TAILQ_FOREACH(lease, &cluster_state.store.leases, link)
	if (lease->ended == -1)
		broken("the lease %" PRIx64 " is left behind", lease->id);
}
