/* What a leader remembers of leases: when they end, unless somebody keeps them alive. */
#include "member.h"
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_PERIOD (500 * NSEC_PER_MSEC)
#define ELECTION_TIMEOUT NSEC_PER_SEC

static struct memory *
find(struct member *member, int64_t id)
{
	for (size_t i = 0; i < member->memory_count; i++)
		if (member->memories[i].id == id)
			return &member->memories[i];
	return NULL;
}

/* SPAN on MEMBER's clock, in true time. */
static nsec
true_span(const struct member *member, nsec span)
{
	return (nsec)((__int128)span * 1000000 / (1000000 + member->ppm));
}

void
lessor_granted(struct member *member, int64_t id, int64_t ttl_s)
{
	if (member->memory_count == MEMORIES)
		abort();
	member->memories[member->memory_count++] =
	    (struct memory){ .id = id, .ttl_s = ttl_s, .ends = world.now + true_span(member, ttl_s * NSEC_PER_SEC) };
}

void
lessor_ended(struct member *member, int64_t id)
{
	struct memory *memory = find(member, id);

	if (memory != NULL)
		*memory = member->memories[--member->memory_count];
}

void
lessor_promote(struct member *member)
{
	struct lease *lease;

	member->memory_count = 0;
	TAILQ_FOREACH(lease, &cluster_state.store.leases, link)
	{
		if (lease->ended != -1)
			continue;
		lessor_granted(member, lease->id, lease->ttl_s);
		member->memories[member->memory_count - 1].ends += ELECTION_TIMEOUT;
	}
}

/* The end of leases is proposed as any other change is. */
static void
on_check(void *arg)
{
	struct member *member = arg;

	alarm_set(&member->check, world.now + CHECK_PERIOD);
	if (!member->up || member->frozen || !member->leads)
		return;
	for (size_t i = 0; i < member->memory_count; i++) {
		struct memory *memory = &member->memories[i];

		if (memory->ends > world.now)
			continue;
		/* Until it is agreed upon it is proposed again. */
		memory->ends = world.now + 3 * NSEC_PER_SEC;
		memory->over = true;
		if (member->dated && one_in(2))
			continue;
		raft_submit(NULL, member->number, "/v3/lease/revoke", json_pack("{sI}", "ID", (json_int_t)memory->id));
	}
}

static void
answer(struct exchange *exchange, int64_t id, int64_t ttl_s)
{
	struct header header = header_of(exchange->member);
	struct text text = { 0 };

	text_add(&text, "{\"result\":{");
	print_header(&text, &header);
	text_add(&text, ",\"ID\":\"%" PRId64 "\"", id);
	if (ttl_s > 0)
		text_add(&text, ",\"TTL\":\"%" PRId64 "\"", ttl_s);
	text_add(&text, "}}\n");
	exchange_answer(exchange, 200, text.bytes);
	free(text.bytes);
}

void
lessor_keepalive(struct exchange *exchange, const json_t *request)
{
	struct member *member = &cluster_state.members[exchange->member];
	int64_t id = gateway_int(request, "ID");
	struct memory *memory;

	if (!member->leads) {
		if (cluster_state.leader == -1 || !member_reaches(member->number, cluster_state.leader)) {
			exchange_ignore(exchange);
			return;
		}
		member = &cluster_state.members[cluster_state.leader];
	}
	memory = find(member, id);
	/* etcd waits until it is agreed upon, which can be longer than anybody waits for an answer. */
	if (memory != NULL && memory->over) {
		exchange_ignore(exchange);
		return;
	}
	if (memory == NULL || (memory->ends <= world.now && !one_in(3))) {
		answer(exchange, id, 0);
		return;
	}
	memory->ends = world.now + true_span(member, memory->ttl_s * NSEC_PER_SEC);
	answer(exchange, id, memory->ttl_s);
}

void
lessor_init(struct member *member)
{
	member->check = (struct alarm){ .ring = on_check, .arg = member };
	alarm_set(&member->check, world.now + between(0, CHECK_PERIOD));
}
