/* What others do to the store: who deletes or writes a key that is not its own, and who restores an older copy. */
#include "outside.h"

#include "base/base64.h"
#include "base/strbuf.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* What is below it is nobody's place in a queue. */
#define DATA "/data/"

/* Who has waited longest is told to end. */
static void
on_gives_up(void *arg)
{
	const struct fault *fault = arg;
	struct node *node, *first = NULL;

	TAILQ_FOREACH(node, &nodes, link)
	if (node->living == 0 && node->slot->key == fault->slot->key && (first == NULL || node->came < first->came))
		first = node;
	if (first == NULL)
		return;
	note("%s is told to end", first->id);
	if (first->sentinel != NULL)
		proc_signal(first->sentinel, SIGTERM);
}

/* The key of the node that FAULT is about, where it has one; else any. NULL: there is none. */
static struct key *
some_key(const struct fault *fault)
{
	const struct node *node = fault->slot->node;
	const struct deadman_page *page = node == NULL ? NULL : node->deadman.shared;
	struct key *key, *chosen = NULL;
	uint64_t count = 0;

	TAILQ_FOREACH(key, &cluster_state.store.keys, link)
	{
		if (store_now(key) == NULL || strstr(key->name, DATA) != NULL)
			continue;
		if (page != NULL && page->create_revision != 0 && strcmp(page->owner_key, key->name) == 0)
			return key;
		if (one_in(++count))
			chosen = key;
	}
	return chosen;
}

static void
on_next(void *arg)
{
	outside_delete(arg);
}

/* What follows upon a deletion, if anything: whoever gives up now must not be taken for the one who holds the lock, who
 * has not ended yet; nor must a newcomer that is there for a moment, and whose own key goes, too. */
static void
plan_sequel(struct fault *fault)
{
	if (one_in(2)) {
		fault->step = (struct alarm){ .ring = on_gives_up, .arg = fault };
		alarm_set(
		    &fault->step, world.now + some_span(NSEC_PER_MSEC / 2, one_in(2) ? 20 * NSEC_PER_MSEC : CALM));
	} else if (one_in(2)) {
		fault->step = (struct alarm){ .ring = on_next, .arg = fault };
		alarm_set(&fault->step, world.now + some_span(NSEC_PER_MSEC, NSEC_PER_SEC));
	}
}

void
outside_delete(struct fault *fault)
{
	const struct key *key;
	json_t *request;

	if (fault->calm)
		net_be_quiet(CALM);
	plan_sequel(fault);
	if (habits.v2 && cluster_state.leader != -1) {
		check_deleted(fault->slot->key, "", fault->calm);
		v2_delete_outside(fault->slot->key);
		return;
	}
	key = some_key(fault);
	if (key == NULL || cluster_state.leader == -1)
		return;
	check_deleted(key->name, key->name64, fault->calm);
	request = one_in(2)
	    ? json_pack("{s[{s{ss}}]}", "success", "request_delete_range", "key", key->name64)
	    : json_pack("{s[{s{ss ss}}]}", "success", "request_put", "key", key->name64, "value", "b3RoZXI=");
	raft_submit(NULL, cluster_state.leader, "/v3/kv/txn", request);
}

static json_t *
put_of_data(const struct fault *fault, int number)
{
	char *name = str_printf("%s" DATA "%d.%d", fault->slot->key, (int)(fault->number % 8), number);
	char *name64 = name == NULL ? NULL : base64_encode(name, strlen(name));
	json_t *put = json_pack("{s{ss ss}}", "request_put", "key", name64, "value", "ZGF0YQ==");

	free(name);
	free(name64);
	return put;
}

void
outside_clutter(struct fault *fault)
{
	const bool at_once = one_in(2);
	json_t *puts = json_array();

	for (int i = 0; i < 40 && cluster_state.leader != -1; i++) {
		json_array_append_new(puts, put_of_data(fault, i));
		if (at_once && i < 39)
			continue;
		raft_submit(
		    NULL, cluster_state.leader, "/v3/kv/txn", json_pack("{so}", "success", json_deep_copy(puts)));
		json_array_clear(puts);
	}
	json_decref(puts);
}

void
outside_restore(struct fault *fault)
{
	int64_t back = between(0, 40), room = cluster_state.store.revision - 1;
	struct node *node;

	if (cluster_state.store.compacted > 0)
		room = cluster_state.store.revision - cluster_state.store.compacted;
	if (habits.v2)
		room = v2_index() - 3;
	TAILQ_FOREACH(node, &nodes, link)
	check_restored(node);
	members_restore(back < room ? back : room, cluster_state.store.cluster + (fault->number % 2));
}
