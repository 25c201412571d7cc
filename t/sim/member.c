#include "member.h"

#include "net.h"
#include "node.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cluster_state cluster_state;

bool
member_is_up(int number)
{
	return cluster_state.members[number].up;
}

struct header
header_of(int number)
{
	return (struct header){ .cluster = cluster_state.store.cluster,
		.member = (uint64_t)number + 101,
		.term = cluster_state.term,
		.revision = cluster_state.members[number].applied };
}

/* --- requests --- */

static void
answer_error(struct exchange *exchange, int code, const char *words)
{
	struct text text = { 0 };
	long status = print_error(&text, code, words);

	exchange_answer(exchange, status, text.bytes);
	free(text.bytes);
}

static void
answer_status(struct exchange *exchange)
{
	struct header header = header_of(exchange->member);
	struct text text = { 0 };

	text_add(&text, "{");
	print_header(&text, &header);
	text_add(&text, ",\"version\":\"3.4.23\",\"leader\":\"%d\"}", cluster_state.leader + 101);
	exchange_answer(exchange, 200, text.bytes);
	free(text.bytes);
}

/* What a token is refused for; 0: it is good, or none is wanted. */
static int
refused_for(const struct exchange *exchange)
{
	const char *path = exchange->path;
	uint64_t number;

	if (!cluster_state.auth || (strcmp(path, "/v3/kv/range") != 0 && strcmp(path, "/v3/kv/txn") != 0))
		return 0;
	if (exchange->authorization == NULL)
		return CODE_INVALID;
	number = strtoull(exchange->authorization, NULL, 10);
	return number >= cluster_state.token_valid && number <= cluster_state.token ? 0 : CODE_UNAUTHENTICATED;
}

/* What MEMBER has, without asking the others. */
static void
answer_stale(struct exchange *exchange, json_t *request)
{
	struct header header = header_of(exchange->member);
	struct text text = { 0 };
	long status = gateway_apply(&cluster_state.store, exchange->path, request, &header, header.revision, &text);

	exchange_answer(exchange, status, text.bytes);
	free(text.bytes);
	json_decref(request);
}

static void
serve(struct exchange *exchange)
{
	const struct member *member = &cluster_state.members[exchange->member];
	json_t *request;
	int code;

	if (strncmp(exchange->path, "/v2/", 4) == 0) {
		v2_request(exchange);
		return;
	}
	if (strcmp(exchange->path, "/v3/watch") == 0) {
		watch_open(exchange);
		return;
	}
	request = json_loads(exchange->body, 0, NULL);
	if (request == NULL) {
		answer_error(exchange, CODE_INVALID, "invalid character");
	} else if (strcmp(exchange->path, "/v3/maintenance/status") == 0) {
		answer_status(exchange);
	} else if (member->learner) {
		answer_error(exchange, CODE_UNAVAILABLE, "etcdserver: rpc not supported for learner");
	} else if ((code = refused_for(exchange)) != 0) {
		answer_error(exchange, code,
		    code == CODE_INVALID ? "etcdserver: user name is empty" : "etcdserver: invalid auth token");
	} else if (strcmp(exchange->path, "/v3/lease/keepalive") == 0) {
		lessor_keepalive(exchange, request);
	} else if (json_is_true(json_object_get(request, "serializable"))) {
		answer_stale(exchange, request);
		return;
	} else {
		raft_submit(exchange, exchange->member, exchange->path, request);
		return;
	}
	json_decref(request);
}

void
member_request(struct exchange *exchange)
{
	struct member *member = &cluster_state.members[exchange->member];

	if (!member->up) {
		exchange_break(exchange);
	} else if (!member->frozen) {
		serve(exchange);
	} else if (member->backlog_count < sizeof(member->backlog) / sizeof(member->backlog[0])) {
		member->backlog[member->backlog_count++] = exchange;
	} else {
		exchange_ignore(exchange);
	}
}

void
member_closed(struct exchange *exchange)
{
	struct member *member = &cluster_state.members[exchange->member];

	for (size_t i = 0; i < member->backlog_count; i++)
		if (member->backlog[i] == exchange)
			member->backlog[i--] = member->backlog[--member->backlog_count];
	watch_close(exchange);
}

/* --- who has seen what --- */

static bool
is_in_touch(const struct member *member)
{
	return member->up && !member->frozen &&
	    (cluster_state.leader == -1 ? !member->cut : member_reaches(member->number, cluster_state.leader));
}

static void
on_apply(void *arg)
{
	struct member *member = arg;

	if (!is_in_touch(member))
		return;
	member->applied = cluster_state.store.revision;
	member->applied_v2 = v2_index();
	watch_tell(member->number);
	v2_tell(member->number);
}

void
members_spread(int first)
{
	for (int i = 0; i < MEMBERS; i++) {
		struct member *member = &cluster_state.members[i];
		bool lags = world.now >= net.quiet && one_in(cluster_state.lags ? 2 : 100);
		/* Where keys are deleted from outside, their owners must hear of it. */
		nsec longest = (habits.gentle ? 20 : 2) * NSEC_PER_SEC;
		nsec lag = lags ? some_span(10 * NSEC_PER_MSEC, longest) : between(50000, 2000000);

		/* Who answers has seen it. */
		if (i == first || i == cluster_state.leader)
			on_apply(member);
		else if (is_in_touch(member) &&
		    (member->apply.slot == 0 || (!habits.gentle && member->apply.at > world.now + lag)))
			alarm_set(&member->apply, world.now + lag);
	}
}

/* --- who leads --- */

bool
member_reaches(int one, int other)
{
	const struct member *a = &cluster_state.members[one], *b = &cluster_state.members[other];

	return a->up && b->up && !a->frozen && !b->frozen && (one == other || (!a->cut && !b->cut));
}

static int
votes_for(int number)
{
	int votes = 0;

	for (int i = 0; i < MEMBERS; i++)
		votes += member_reaches(i, number);
	return votes;
}

bool
leader_has_quorum(void)
{
	return cluster_state.leader != -1 && votes_for(cluster_state.leader) > MEMBERS / 2;
}

static void
on_step_down(void *arg)
{
	struct member *member = arg;

	if (member->frozen || cluster_state.leader == member->number)
		return;
	note("m%d: follows", member->number);
	member->leads = member->dated = false;
	member->memory_count = 0;
}

static void
elect(int number)
{
	struct member *member = &cluster_state.members[number];

	cluster_state.term++;
	cluster_state.leader = number;
	member->leads = true;
	member->dated = false;
	alarm_stop(&member->step_down);
	member->applied = cluster_state.store.revision;
	member->applied_v2 = v2_index();
	note("m%d: leads in term %" PRIu64, number, cluster_state.term);
	lessor_promote(member);
	for (int i = 0; i < MEMBERS; i++) {
		struct member *other = &cluster_state.members[i];

		if (i == number || !other->leads)
			continue;
		if (other->frozen)
			other->dated = true;
		else
			alarm_set(&other->step_down, world.now + between(0, NSEC_PER_SEC));
	}
	raft_new_leader();
	members_spread(number);
}

static void
on_election(void *arg)
{
	int first = (int)between(0, MEMBERS - 1);

	(void)arg;
	if (leader_has_quorum())
		return;
	for (int i = 0; i < MEMBERS; i++) {
		int number = (first + i) % MEMBERS;

		if (cluster_state.members[number].learner || votes_for(number) <= MEMBERS / 2)
			continue;
		elect(number);
		return;
	}
	cluster_state.leader = -1;
	for (int i = 0; i < MEMBERS; i++)
		watch_no_leader(i);
	alarm_set(&cluster_state.election, world.now + NSEC_PER_SEC);
}

void
members_changed(void)
{
	if (!leader_has_quorum() && cluster_state.election.slot == 0)
		alarm_set(&cluster_state.election, world.now + between(NSEC_PER_SEC, 2700 * NSEC_PER_MSEC));
	members_spread(cluster_state.leader);
	for (int i = 0; i < MEMBERS; i++)
		if (cluster_state.members[i].cut)
			watch_no_leader(i);
}

/* --- faults --- */

void
member_crash(int number)
{
	struct member *member = &cluster_state.members[number];

	note("m%d: crashes", number);
	member->up = member->frozen = member->leads = member->dated = false;
	member->memory_count = 0;
	if (cluster_state.leader == number)
		cluster_state.leader = -1;
	for (size_t i = 0; i < member->backlog_count; i++)
		exchange_break(member->backlog[i]);
	member->backlog_count = 0;
	raft_member_down(number);
	watch_member_down(number);
	v2_member_down(number);
	members_changed();
}

void
member_start(int number)
{
	struct member *member = &cluster_state.members[number];

	if (member->up)
		return;
	note("m%d: starts", number);
	member->up = true;
	members_changed();
}

void
member_freeze(int number)
{
	note("m%d: frozen", number);
	cluster_state.members[number].frozen = true;
	members_changed();
}

void
member_thaw(int number)
{
	struct member *member = &cluster_state.members[number];
	size_t count = member->backlog_count;

	if (!member->frozen)
		return;
	note("m%d: thaws", number);
	member->frozen = false;
	if (member->leads && cluster_state.leader != number) {
		cluster_state.thawed = true;
		alarm_set(&member->step_down, world.now + some_span(NSEC_PER_MSEC, 500 * NSEC_PER_MSEC));
		alarm_set(&member->check, world.now + between(0, 500 * NSEC_PER_MSEC));
	}
	member->backlog_count = 0;
	for (size_t i = 0; i < count; i++)
		serve(member->backlog[i]);
	members_changed();
}

void
member_cut(int number, bool cut)
{
	note("m%d: %s the others", number, cut ? "cut off from" : "back with");
	cluster_state.members[number].cut = cut;
	members_changed();
}

void
member_move_leader(void)
{
	int number = (int)between(0, MEMBERS - 1);

	if (leader_has_quorum() && number != cluster_state.leader && !cluster_state.members[number].learner &&
	    votes_for(number) > MEMBERS / 2)
		elect(number);
}

void
members_restore(int64_t back, uint64_t cluster)
{
	int64_t revision = cluster_state.store.revision > back ? cluster_state.store.revision - back : 1;

	note("etcd is restored as of revision %" PRId64, revision);
	for (int i = 0; i < MEMBERS; i++)
		if (cluster_state.members[i].up)
			member_crash(i);
	store_restore(&cluster_state.store, revision);
	v2_restore(v2_index() - back);
	cluster_state.store.cluster = cluster;
	cluster_state.leader = -1;
	memset(cluster_state.last_token, 0, sizeof(cluster_state.last_token));
	for (int i = 0; i < MEMBERS; i++) {
		cluster_state.members[i].applied = revision;
		cluster_state.members[i].applied_v2 = v2_index();
		member_start(i);
	}
}

/* --- set-up --- */

void
members_begin(void)
{
	cluster_state = (struct cluster_state){ .leader = -1, .term = 1, .token_valid = 1 };
	store_init(&cluster_state.store, 1000);
	cluster_state.election = (struct alarm){ .ring = on_election };
	raft_begin();
	watch_begin();
	v2_begin();
	for (int i = 0; i < MEMBERS; i++) {
		struct member *member = &cluster_state.members[i];

		member->number = i;
		member->up = true;
		member->applied = 1;
		member->apply = (struct alarm){ .ring = on_apply, .arg = member };
		member->step_down = (struct alarm){ .ring = on_step_down, .arg = member };
		lessor_init(member);
	}
	elect((int)between(0, MEMBERS - 1));
}

void
members_end(void)
{
	raft_end();
	watch_end();
	store_free(&cluster_state.store);
}
