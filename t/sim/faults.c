#include "faults.h"

#include "outside.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* --- at whom --- */

void
fault_aim_at_holder(struct fault *fault)
{
	const struct node *node;

	if (fault->number % 3 == 0)
		return;
	TAILQ_FOREACH(node, &nodes, link)
	{
		if (node->living == 0)
			continue;
		fault->slot = node->slot;
		fault->host = node->slot->host.number;
		return;
	}
}

/* --- to processes --- */

static void
signal_one(struct proc *proc, int signo)
{
	if (proc != NULL)
		proc_signal(proc, signo);
}

static void
stop(struct fault *fault, size_t at, struct proc *proc)
{
	if (proc == NULL || proc->dead)
		return;
	fault->pids[at] = proc->pid;
	proc_signal(proc, SIGSTOP);
}

static void
go_on(struct fault *fault)
{
	for (size_t i = 0; i < 2; i++) {
		struct proc *proc = fault->pids[i] == 0 ? NULL : proc_find(fault->pids[i]);

		fault->pids[i] = 0;
		signal_one(proc, SIGCONT);
	}
}

static struct proc *
some_command(const struct node *node)
{
	struct proc *proc, *chosen = NULL;
	uint64_t count = 0;

	TAILQ_FOREACH(proc, &procs, link)
	if (proc->node == node && proc->kind == PROC_COMMAND && !proc->dead && one_in(++count))
		chosen = proc;
	return chosen;
}

static void
kill_supervisor(struct fault *fault)
{
	signal_one(fault->slot->node->supervisor, SIGKILL);
}

static void
kill_sentinel(struct fault *fault)
{
	signal_one(fault->slot->node->sentinel, SIGKILL);
}

static void
kill_keeper(struct fault *fault)
{
	signal_one(fault->slot->node->keeper, SIGKILL);
}

static void
kill_two(struct fault *fault)
{
	const struct node *node = fault->slot->node;
	struct proc *three[] = { node->sentinel, node->supervisor, node->keeper };

	for (uint64_t i = 0; i < 3; i++)
		if (i != fault->number % 3)
			signal_one(three[i], SIGKILL);
}

static void
stop_supervisor(struct fault *fault)
{
	stop(fault, 0, fault->slot->node->supervisor);
}

static void
stop_sentinel(struct fault *fault)
{
	stop(fault, 0, fault->slot->node->sentinel);
}

static void
stop_both(struct fault *fault)
{
	stop_supervisor(fault);
	stop(fault, 1, fault->slot->node->sentinel);
}

static void
starve_supervisor(struct fault *fault)
{
	struct proc *supervisor = fault->slot->node->supervisor;

	if (supervisor != NULL)
		supervisor->starved = world.now + fault->span;
}

/* Before it has started anything: an order to start waits for it. */
static void
starve_keeper(struct fault *fault)
{
	const struct node *node = fault->slot->node;

	if (node->keeper != NULL && node->living == 0)
		node->keeper->starved = world.now + fault->span;
}

static void
stop_command(struct fault *fault)
{
	stop(fault, 0, some_command(fault->slot->node));
}

static void
kill_command(struct fault *fault)
{
	signal_one(some_command(fault->slot->node), SIGKILL);
}

static void
tell(struct fault *fault)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCONT };

	signal_one(fault->slot->node->sentinel, signals[fault->number % 5]);
}

static void
starve_of_memory(struct fault *fault)
{
	struct node *node = fault->slot->node;

	node->starves = true;
	if (node->supervisor != NULL)
		node->supervisor->starves = true;
}

static void
feed(struct fault *fault)
{
	struct node *node = fault->slot->node;

	if (node != NULL && node->supervisor != NULL)
		node->supervisor->starves = false;
}

/* --- to the network --- */

static void
cut(const struct fault *fault, bool forth, bool back)
{
	net.lines[fault->host][fault->member] = (struct line){ .cut_forth = forth, .cut_back = back };
}

static void
cut_line(struct fault *fault)
{
	cut(fault, true, true);
}

static void
cut_forth(struct fault *fault)
{
	cut(fault, true, false);
}

static void
cut_back(struct fault *fault)
{
	cut(fault, false, true);
}

static void
mend_line(struct fault *fault)
{
	cut(fault, false, false);
}

static void
set_lines(const struct fault *fault, bool cut_forth, bool cut_back)
{
	for (int i = 0; i < MEMBERS; i++)
		net.lines[fault->host][i] = (struct line){ .cut_forth = cut_forth, .cut_back = cut_back };
}

static void
cut_host(struct fault *fault)
{
	set_lines(fault, true, true);
}

static void
mend_host(struct fault *fault)
{
	set_lines(fault, false, false);
}

/* The lines of a host come and go, each way for itself; most often it hears nothing first, then something, then nothing
 * gets through. */
static void
on_flap(void *arg)
{
	struct fault *fault = arg;
	uint64_t phase = one_in(6) ? chance() % 4 : fault->phase++ % 4;
	nsec lasts, unit = habits.short_leases ? NSEC_PER_SEC / 8 : NSEC_PER_SEC;

	switch (phase) {
	case 0:
		mend_host(fault);
		fault_aim_at_holder(fault);
		set_lines(fault, false, true);
		lasts = some_span(100 * NSEC_PER_MSEC, 16 * unit);
		break;
	case 1:
		set_lines(fault, false, false);
		lasts = some_span(5 * NSEC_PER_MSEC, 2 * NSEC_PER_SEC);
		break;
	case 2:
		set_lines(fault, true, !one_in(4));
		lasts = between(NSEC_PER_SEC, 70 * unit);
		break;
	default:
		set_lines(fault, false, false);
		lasts = some_span(10 * NSEC_PER_MSEC, 20 * unit);
		break;
	}
	world.tally.faults++;
	alarm_set(&fault->step, world.now + lasts);
}

static void
flap(struct fault *fault)
{
	fault->step = (struct alarm){ .ring = on_flap, .arg = fault };
	on_flap(fault);
}

static void
stop_flapping(struct fault *fault)
{
	alarm_stop(&fault->step);
	mend_host(fault);
}

static void
slow_down(struct fault *fault)
{
	(void)fault;
	net.slow = true;
}

static void
speed_up(struct fault *fault)
{
	(void)fault;
	net.slow = false;
}

static void
lose(struct fault *fault)
{
	(void)fault;
	net.lossy = true;
}

static void
stop_losing(struct fault *fault)
{
	(void)fault;
	net.lossy = false;
}

/* --- to etcd --- */

static void
crash(struct fault *fault)
{
	member_crash(fault->member);
}

static void
start_again(struct fault *fault)
{
	member_start(fault->member);
}

static void
freeze(struct fault *fault)
{
	member_freeze(fault->member);
}

static void
thaw(struct fault *fault)
{
	member_thaw(fault->member);
}

static void
aim_at_leader(struct fault *fault)
{
	if (cluster_state.leader != -1)
		fault->member = cluster_state.leader;
}

static void
freeze_leader(struct fault *fault)
{
	aim_at_leader(fault);
	freeze(fault);
}

static void
cut_member(struct fault *fault)
{
	member_cut(fault->member, true);
}

static void
cut_leader(struct fault *fault)
{
	aim_at_leader(fault);
	cut_member(fault);
}

static void
mend_member(struct fault *fault)
{
	member_cut(fault->member, false);
}

static void
move_leader(struct fault *fault)
{
	(void)fault;
	member_move_leader();
}

static void
take_vote(struct fault *fault)
{
	if (fault->member != cluster_state.leader)
		cluster_state.members[fault->member].learner = true;
}

static void
give_vote(struct fault *fault)
{
	cluster_state.members[fault->member].learner = false;
}

static void
slow_disk(struct fault *fault)
{
	(void)fault;
	cluster_state.slow_disk = true;
}

static void
fast_disk(struct fault *fault)
{
	(void)fault;
	cluster_state.slow_disk = false;
}

static void
compact(struct fault *fault)
{
	v2_clear((int64_t)(fault->number % 20));
	store_compact(&cluster_state.store, cluster_state.store.revision - (int64_t)(fault->number % 20));
}

static void
fill(struct fault *fault)
{
	(void)fault;
	cluster_state.full = true;
}

static void
make_room(struct fault *fault)
{
	(void)fault;
	cluster_state.full = false;
}

static void
forget_tokens(struct fault *fault)
{
	(void)fault;
	cluster_state.token_valid = cluster_state.token + 1;
}

/* A renewal works, its holder does not hear of it, and from then on there is no space. */
static void
on_answer_lost(void *arg)
{
	fill(arg);
}

static void
lose_answer_and_fill(struct fault *fault)
{
	fault->step = (struct alarm){ .ring = on_answer_lost, .arg = fault };
	net.loses = &fault->step;
	net.loses_host = fault->host;
}

static void
make_room_again(struct fault *fault)
{
	net.loses = NULL;
	alarm_stop(&fault->step);
	make_room(fault);
}

/* --- all of them --- */

static bool
deletes(void)
{
	return habits.deletes;
}

static bool
restores(void)
{
	return habits.restores;
}

/* What a leader that was frozen says of keepalives is not to be trusted: see etcdlocker(1). */
static bool
without_keepalives(void)
{
	return !habits.keepalive;
}

/* The kernel's timer goes by the boot clock alone: see etcdlocker(1). */
static bool
without_slews(void)
{
	return !habits.slews;
}

static bool
with_tokens(void)
{
	return cluster_state.auth;
}

static bool
with_v3(void)
{
	return !habits.v2;
}

/* Places in the list. */
#define TOKENS 11
#define DELETE 12
#define CUT_HOST 17

const struct kind fault_kinds[FAULT_KINDS] = {
	{ "member crashes", AIM_ETCD, GENTLE, crash, start_again, NULL },
	{ "member freezes", AIM_ETCD, GENTLE, freeze, thaw, without_keepalives },
	{ "leader freezes", AIM_ETCD, GENTLE, freeze_leader, thaw, without_keepalives },
	{ "member is cut off", AIM_ETCD, GENTLE, cut_member, mend_member, NULL },
	{ "leader is cut off", AIM_ETCD, GENTLE, cut_leader, mend_member, without_keepalives },
	{ "leader moves", AIM_ETCD, GENTLE, move_leader, NULL, NULL },
	{ "member is a learner", AIM_ETCD, GENTLE, take_vote, give_vote, with_v3 },
	{ "slow disk", AIM_ETCD, ROUGH, slow_disk, fast_disk, NULL },
	{ "compaction", AIM_ETCD, GENTLE, compact, NULL, NULL },
	{ "out of space", AIM_ETCD, GENTLE, fill, make_room, with_v3 },
	{ "somebody's data", AIM_ETCD, GENTLE, outside_clutter, NULL, with_v3 },
	[TOKENS] = { "tokens die", AIM_ETCD, GENTLE, forget_tokens, NULL, with_tokens },
	[DELETE] = { "key deleted", AIM_ETCD, ROUGH, outside_delete, NULL, deletes },
	{ "restored", AIM_ETCD, ROUGH, outside_restore, NULL, restores },
	{ "line cut", AIM_ETCD, GENTLE, cut_line, mend_line, NULL },
	{ "line cut forth", AIM_ETCD, GENTLE, cut_forth, mend_line, NULL },
	{ "line cut back", AIM_ETCD, GENTLE, cut_back, mend_line, NULL },
	[CUT_HOST] = { "host cut off", AIM_ETCD, ROUGH, cut_host, mend_host, NULL },
	{ "host flaps", AIM_ETCD, ROUGH, flap, stop_flapping, NULL },
	{ "answer lost, then out of space", AIM_ETCD, GENTLE, lose_answer_and_fill, make_room_again, with_v3 },
	{ "slow network", AIM_ETCD, ROUGH, slow_down, speed_up, NULL },
	{ "lossy network", AIM_ETCD, ROUGH, lose, stop_losing, NULL },
	{ "supervisor killed", AIM_NODE, GENTLE, kill_supervisor, NULL, NULL },
	{ "sentinel killed", AIM_NODE, GENTLE, kill_sentinel, NULL, NULL },
	{ "keeper killed", AIM_NODE, GENTLE, kill_keeper, NULL, NULL },
	{ "two of three killed", AIM_NODE, GENTLE, kill_two, NULL, NULL },
	{ "supervisor stopped", AIM_NODE, ROUGH, stop_supervisor, go_on, NULL },
	{ "sentinel stopped", AIM_NODE, GENTLE, stop_sentinel, go_on, NULL },
	{ "both stopped", AIM_NODE, ROUGH, stop_both, go_on, without_slews },
	{ "supervisor starved", AIM_NODE, ROUGH, starve_supervisor, NULL, NULL },
	{ "keeper starved", AIM_NODE, ROUGH, starve_keeper, NULL, NULL },
	{ "COMMAND stopped", AIM_NODE, GENTLE, stop_command, go_on, NULL },
	{ "COMMAND killed", AIM_NODE, GENTLE, kill_command, NULL, NULL },
	{ "signal", AIM_NODE, GENTLE, tell, NULL, NULL },
	{ "no memory", AIM_NODE, ROUGH, starve_of_memory, feed, NULL },
};

const struct kind *const fault_cut_host = &fault_kinds[CUT_HOST], *const fault_flap = &fault_kinds[CUT_HOST + 1],
			 *const fault_full = &fault_kinds[CUT_HOST + 2], *const fault_delete = &fault_kinds[DELETE],
			 *const fault_tokens = &fault_kinds[TOKENS];
