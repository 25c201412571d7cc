#include "nemesis.h"

#include "faults.h"

#include <stdlib.h>

#define LONGEST (90 * NSEC_PER_SEC)

static struct fault faults[FAULTS];
static size_t fault_count;

/* --- while it lasts --- */

/* Nothing goes wrong now, nor soon. */
static bool
is_calm(const struct fault *fault)
{
	if (net.slow || net.lossy || cluster_state.slow_disk || cluster_state.leader == -1)
		return false;
	for (size_t i = 0; i < fault_count; i++) {
		const struct fault *other = &faults[i];

		if (other != fault &&
		    (other->end.slot != 0 || (other->begin.slot != 0 && other->begin.at < world.now + CALM)))
			return false;
	}
	return true;
}

static bool
is_harmed(const struct proc *proc)
{
	return proc == NULL || proc->stopped || proc->starved > world.now;
}

/* The promise is about the loss of two of the three: the third one sees to it that the tree ends. */
static void
excuse_if_all_are_harmed(struct node *node)
{
	const bool both = is_harmed(node->sentinel) && is_harmed(node->supervisor);

	/* Without both it is the kernel's timer alone that tells the keeper, and that goes by the boot clock. */
	if (both && (habits.slews || is_harmed(node->keeper)))
		node->excused = NSEC_NEVER;
}

static void
on_begin(void *arg)
{
	struct fault *fault = arg;

	fault_aim_at_holder(fault);
	if (fault->kind->aim == AIM_NODE && fault->slot->node == NULL)
		return;
	world.tally.faults++;
	fault->calm = is_calm(fault);
	fault->kind->begin(fault);
	if (fault->kind->aim == AIM_NODE)
		excuse_if_all_are_harmed(fault->slot->node);
	note("fault %zu: %s (s%d, m%d) for %.3f s", (size_t)(fault - faults), fault->kind->name, fault->host,
	    fault->member, (double)fault->span / 1e9);
	if (fault->kind->end != NULL)
		alarm_set(&fault->end, world.now + fault->span);
}

static void
on_end(void *arg)
{
	struct fault *fault = arg;

	note("fault %zu: over", (size_t)(fault - faults));
	fault->kind->end(fault);
}

void
nemesis_clear_up(void)
{
	struct key *key;

	TAILQ_FOREACH(key, &cluster_state.store.keys, link)
	{
		const struct version *now = store_now(key);

		if (now != NULL && now->lease == 0 && !habits.v2)
			raft_submit(NULL, 0, "/v3/kv/txn",
			    json_pack("{s[{s{ss}}]}", "success", "request_delete_range", "key", key->name64));
	}
}

void
nemesis_rest(void)
{
	for (size_t i = 0; i < fault_count; i++) {
		alarm_stop(&faults[i].begin);
		alarm_stop(&faults[i].step);
		if (faults[i].end.slot == 0)
			continue;
		alarm_stop(&faults[i].end);
		on_end(&faults[i]);
	}
}

/* Some kinds, few enough to meet each other often. */
static size_t
choose_kinds(const struct kind *chosen[FAULT_KINDS + 2])
{
	size_t count = 0, wanted = (size_t)between(1, one_in(3) ? FAULT_KINDS : habits.deletes ? 2 : 6);

	/* Whoever hears of nothing but deletions must stand each of them. */
	if (habits.deletes && !one_in(3)) {
		chosen[0] = fault_delete;
		return 1;
	}
	/* A holder that nobody hears of is what the promise is about. */
	if (habits.cuts) {
		chosen[0] = one_in(3) ? fault_cut_host : fault_flap;
		return 1;
	}
	if (habits.gentle && !habits.v2 && one_in(6)) {
		chosen[0] = fault_full;
		return 1;
	}
	if (habits.gentle && cluster_state.auth && one_in(3)) {
		chosen[0] = fault_tokens;
		return 1;
	}
	for (size_t i = 0; i < wanted; i++) {
		const struct kind *kind = &fault_kinds[between(0, FAULT_KINDS - 1)];

		if ((!habits.gentle || kind->roughness == GENTLE) && (kind->possible == NULL || kind->possible()))
			chosen[count++] = kind;
	}
	if (habits.deletes)
		chosen[count++] = fault_delete;
	if (!habits.gentle && one_in(2))
		chosen[count++] = one_in(2) ? fault_cut_host : fault_flap;
	return count;
}

void
nemesis_plan(struct slot *slots, size_t count, nsec end, const struct without *without)
{
	const struct kind *chosen[FAULT_KINDS + 2];
	size_t chosen_count = choose_kinds(chosen);
	/* Leases that are short end in between, and nothing else happens then. */
	nsec gap =
	    habits.short_leases ? between(2, 8) * NSEC_PER_SEC : some_span(500 * NSEC_PER_MSEC, 40 * NSEC_PER_SEC);
	nsec at = world.now;

	fault_count = 0;
	while (chosen_count > 0 && fault_count < FAULTS && (at += between(0, 2 * gap)) < end) {
		struct fault *fault = &faults[fault_count];
		struct slot *slot = &slots[between(0, (int64_t)count - 1)];

		*fault = (struct fault){ .kind = chosen[between(0, (int64_t)chosen_count - 1)],
			.slot = slot,
			.host = slot->host.number,
			.member = (int)between(0, MEMBERS - 1),
			.span = one_in(2) ? some_span(NSEC_PER_MSEC, LONGEST) : between(NSEC_PER_SEC, LONGEST),
			.number = chance(),
			.begin = { .ring = on_begin, .arg = fault },
			.end = { .ring = on_end, .arg = fault } };
		/* Longer than any lease: what is not renewed ends. */
		if (fault->kind == fault_full)
			fault->span = LONGEST;
		if (!without->list[fault_count])
			alarm_set(&fault->begin, at);
		/* One at a time, and the cluster well again in between. */
		if (habits.gentle)
			at += (fault->kind->end == NULL ? 0 : fault->span) + 10 * NSEC_PER_SEC;
		fault_count++;
	}
}
