/* What goes through raft: proposed at a member, agreed upon by the leader and a majority, or not. */
#include "member.h"
#include "node.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* etcd gives up waiting for its peers after that: 5 s and two election timeouts. */
#define PATIENCE (7 * NSEC_PER_SEC)

#define HISTORY 600

static LIST_HEAD(, op) ops;

static void
op_free(struct op *op)
{
	alarm_stop(&op->alarm);
	LIST_REMOVE(op, link);
	json_decref(op->request);
	free(op->method);
	free(op->path);
	free(op);
}

static bool
is_v2(const struct op *op)
{
	return strncmp(op->path, "/v2/", 4) == 0;
}

static void
op_fail(struct op *op, const char *words)
{
	struct text text = { 0 };
	long status;

	if (op->exchange != NULL) {
		status = is_v2(op) ? v2_timed_out(&text) : print_error(&text, CODE_UNAVAILABLE, words);
		exchange_answer(op->exchange, status, text.bytes);
		free(text.bytes);
	}
	op_free(op);
}

static void
on_patience_over(void *arg)
{
	op_fail(arg, "etcdserver: request timed out");
}

/* It has no effect; whoever waits for it waits in vain. */
static void
lose(struct op *op)
{
	op->alarm.ring = on_patience_over;
	if (op->exchange == NULL)
		op_free(op);
	else
		alarm_set(&op->alarm, world.now + PATIENCE);
}

/* --- what is agreed upon --- */

static long
authenticate(struct text *text, struct header *header)
{
	text_add(text, "{");
	print_header(text, header);
	text_add(text, ",\"token\":\"%" PRIu64 "\"}", ++cluster_state.token);
	return 200;
}

/* What leaders keep in mind of it. */
static void
remember(const struct op *op)
{
	int64_t id = gateway_int(op->request, "ID");
	const struct lease *lease = store_lease(&cluster_state.store, id);

	for (int i = 0; i < MEMBERS; i++) {
		struct member *member = &cluster_state.members[i];

		/* One that only believes that it leads does not hear of it. */
		if (!member->leads || i != cluster_state.leader)
			continue;
		if (lease != NULL && strcmp(op->path, "/v3/lease/grant") == 0)
			lessor_granted(member, id, lease->ttl_s);
		else if (lease == NULL)
			lessor_ended(member, id);
	}
}

static void
agree(struct op *op)
{
	struct header header = header_of(op->member);
	struct text text = { 0 };
	long status;

	node_before_op(op);
	if (is_v2(op))
		status = v2_apply(op->method, op->path, &text);
	else if (cluster_state.full && gateway_needs_room(op->path, op->request))
		status = print_error(&text, CODE_EXHAUSTED, "etcdserver: mvcc: database space exceeded");
	else if (strcmp(op->path, "/v3/auth/authenticate") == 0)
		status = authenticate(&text, &header);
	else
		status = gateway_apply(&cluster_state.store, op->path, op->request, &header, 0, &text);
	note("etcd at %" PRId64 ": %s -> %ld %s", cluster_state.store.revision, op->path, status, text.bytes);
	if (status == 200 && strstr(op->path, "lease") != NULL)
		remember(op);
	/* Or the history grows without end; etcd is told to forget now and then, too. */
	if (cluster_state.store.change_count > HISTORY)
		store_compact(&cluster_state.store, cluster_state.store.revision - HISTORY / 2);
	members_spread(op->member);
	if (op->exchange != NULL && member_reaches(op->member, cluster_state.leader))
		exchange_answer(op->exchange, status, text.bytes);
	else if (op->exchange != NULL)
		exchange_ignore(op->exchange);
	free(text.bytes);
	op_free(op);
}

static void
on_agreed(void *arg)
{
	struct op *op = arg;

	if (op->term == cluster_state.term && leader_has_quorum())
		agree(op);
	else if (op->term != cluster_state.term)
		lose(op);
	else
		/* The leader has it, and cannot get rid of it: see raft_new_leader(). */
		alarm_set(&op->alarm, world.now + some_span(10 * NSEC_PER_MSEC, NSEC_PER_SEC));
}

void
raft_submit(struct exchange *exchange, int member, const char *path, json_t *request)
{
	struct op *op = calloc(1, sizeof(*op));
	nsec takes = between(200000, 3000000);

	if (op == NULL)
		abort();
	op->exchange = exchange;
	op->node = exchange == NULL ? NULL : exchange->node;
	op->member = member;
	op->method = strdup(exchange == NULL ? "POST" : exchange->method);
	op->path = strdup(path);
	op->request = request;
	op->alarm = (struct alarm){ .ring = on_agreed, .arg = op };
	LIST_INSERT_HEAD(&ops, op, link);
	if (cluster_state.leader == -1 || !member_reaches(member, cluster_state.leader)) {
		if (exchange != NULL && exchange->require_leader && cluster_state.leader == -1)
			op_fail(op, "etcdserver: no leader");
		else
			lose(op);
		return;
	}
	if (cluster_state.slow_disk && one_in(3))
		takes = some_span(10 * NSEC_PER_MSEC, 4 * NSEC_PER_SEC);
	op->term = cluster_state.term;
	alarm_set(&op->alarm, world.now + takes);
}

void
raft_new_leader(void)
{
	struct op *op, *next;

	for (op = LIST_FIRST(&ops); op != NULL; op = next) {
		next = LIST_NEXT(op, link);
		/* What is read is read anew from the next leader. */
		if (op->term == 0 || op->term >= cluster_state.term)
			continue;
		world.tally.faults++;
		if (!gateway_reads(op->path) && strcmp(op->method, "GET") != 0 && one_in(2)) {
			agree(op);
		} else {
			op->term = 0;
			lose(op);
		}
	}
}

void
raft_member_down(int member)
{
	struct op *op;

	LIST_FOREACH(op, &ops, link)
	{
		if (op->exchange == NULL || op->member != member)
			continue;
		exchange_break(op->exchange);
		op->exchange = NULL;
	}
}

void
raft_node_gone(const struct node *node)
{
	struct op *op;

	LIST_FOREACH(op, &ops, link)
	if (op->node == node)
		op->node = NULL;
}

void
raft_begin(void)
{
	LIST_INIT(&ops);
}

void
raft_end(void)
{
	while (!LIST_EMPTY(&ops))
		op_free(LIST_FIRST(&ops));
}
