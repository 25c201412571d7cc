#include "run.h"

#include "net.h"

#include <signal.h>
#include <stdlib.h>

/* Calm comes after that. */
#define FAULTS_LEAST (40 * NSEC_PER_SEC)
#define FAULTS_MOST (600 * NSEC_PER_SEC)

/* The longest TTL, and what etcd needs to end its leases. */
#define ALL_LEASES_OVER (75 * NSEC_PER_SEC)

/* So long it may take in a calm world until everybody is through: leases that nobody renews, pauses, and each one's
 * COMMAND and lock delay. */
#define CALM_LIMIT (ALL_LEASES_OVER + 150 * NSEC_PER_SEC)

/* Parts per million. */
#define SLEW 83000

/* One contender alone. */
#define ALONE_LIMIT (20 * NSEC_PER_SEC)

static struct slot slots[HOSTS];
static size_t slot_count;

static void
on_next(void *arg)
{
	node_begin(arg);
}

/* How far a clock is off: that NTP slews, by chrony's limit at most; else what a quartz is. Where hosts are slow and
 * members fast, little is left of the margin. */
static int64_t
some_ppm(int64_t worst)
{
	if (!habits.slews)
		return between(-300, 300);
	return one_in(4) ? between(-SLEW, SLEW) : worst;
}

static void
make_slots(void)
{
	bool two_keys = one_in(6);

	slot_count = (size_t)between(2, HOSTS);
	for (size_t i = 0; i < slot_count; i++) {
		int key_number = two_keys && i % 3 == 0;

		slots[i] = (struct slot){ .number = (int)i,
			.key = key_number == 1 ? "/b" : "/a",
			.key_number = key_number,
			.host = { .number = (int)i,
			    .boot_base = between(1000, 1000000) * NSEC_PER_SEC,
			    .raw_base = between(1000, 1000000) * NSEC_PER_SEC,
			    .boot_ppm = some_ppm(-SLEW),
			    .raw_ppm = between(-300, 300) },
			.next = { .ring = on_next, .arg = &slots[i] } };
		alarm_set(&slots[i].next, world.now + some_span(NSEC_PER_MSEC, 5 * NSEC_PER_SEC));
	}
}

/* What happens in a world: one thing at a time that costs nothing; keys are deleted; hosts are cut off, and nothing
 * else; or anything. */
static void
choose_kind_of_world(void)
{
	const int64_t number = between(0, 99);

	habits.gentle = number < 25;
	habits.deletes = number >= 25 && number < 55;
	habits.cuts = number >= 55 && number < 75;
}

static void
choose_leases(void)
{
	habits.v2 = one_in(habits.deletes ? 2 : 4);
	habits.keepalive = !habits.v2 && one_in(habits.gentle ? 2 : 5);
	/* To lose a lease or a place takes time. Where the clock that renewals go by is slewed as much as it can be,
	 * what is left of it is less than an election can take. */
	habits.slews = !habits.v2 && !habits.gentle && one_in(2);
	/* What a lease comes to is seen where COMMAND outlives it; how fast a clock runs, where it is long. */
	if (habits.cuts || (habits.deletes && !habits.brisk))
		habits.short_leases = habits.slews ? one_in(4) : !one_in(3);
}

static void
choose_commands(void)
{
	habits.brisk = !habits.cuts && one_in(habits.deletes ? 2 : 3);
	habits.stubborn = !habits.brisk && one_in(3);
	habits.longest_run_s = (int)some_span(2, 120);
	if (habits.gentle)
		habits.longest_run_s = 120;
	if (habits.brisk)
		habits.longest_run_s = 2;
}

static void
choose_habits(void)
{
	habits = (struct habits){ 0 };
	choose_kind_of_world();
	choose_commands();
	choose_leases();
	if (habits.deletes && habits.short_leases)
		habits.longest_run_s = 8;
	habits.restores = !habits.gentle && one_in(6);
	habits.dozes = !habits.gentle && one_in(4);
	net.jitters = one_in(habits.cuts ? 2 : 3);
	net.buffers = one_in(habits.deletes ? 2 : 8);
	cluster_state.lags = one_in(habits.keepalive ? 2 : 3);
	cluster_state.auth = !habits.v2 && one_in(4);
	for (int i = 0; i < MEMBERS; i++)
		cluster_state.members[i].ppm = some_ppm(SLEW);
}

static void
live_until(nsec limit)
{
	while (world_step(limit))
		continue;
	world.now = limit;
}

/* No more faults, nobody begins anew, and whoever would go on is told to end. */
static void
calm_down(void)
{
	note("calm");
	habits.calm = true;
	nemesis_rest();
	commands_end_soon();
	for (size_t i = 0; i < slot_count; i++) {
		struct node *node = slots[i].node;

		alarm_stop(&slots[i].next);
		if (node != NULL && node->sentinel != NULL &&
		    (node->options.relock || node->options.restart != RESTART_NEVER || one_in(8)))
			proc_signal(node->sentinel, SIGTERM);
	}
}

static void
await_all(nsec limit, const char *what)
{
	nsec until = world.now + limit;

	while (!TAILQ_EMPTY(&nodes) && world_step(until))
		continue;
	if (!TAILQ_EMPTY(&nodes))
		broken("%s: %s is not over after %lld s", TAILQ_FIRST(&nodes)->id, what,
		    (long long)(limit / NSEC_PER_SEC));
}

static void
on_supervisor_dies(void *arg)
{
	struct node *node = ((struct slot *)arg)->node;

	if (node != NULL && node->living > 0 && node->supervisor != NULL)
		proc_signal(node->supervisor, SIGKILL);
}

/* One alone is through soon, and so is the next one, though the supervisor of the first was killed at its work. A lease
 * that it was just asking for then ends by itself; of one that ends by itself nothing is left. */
static void
be_alone(void)
{
	struct alarm dies = { .ring = on_supervisor_dies, .arg = &slots[0] };

	node_begin(&slots[0]);
	alarm_set(&dies, world.now + some_span(10 * NSEC_PER_MSEC, 3 * NSEC_PER_SEC));
	await_all(ALONE_LIMIT, "what one does alone");
	alarm_stop(&dies);
	node_begin(&slots[0]);
	await_all(ALONE_LIMIT, "what the next one does alone");
	live_until(world.now + ALL_LEASES_OVER);
	node_begin(&slots[0]);
	await_all(ALONE_LIMIT, "what one does alone");
}

void
run_world(uint64_t seed, const struct without *without)
{
	nsec end;

	world_begin(seed);
	world.now = NSEC_PER_SEC;
	procs_begin();
	net_begin();
	members_begin();
	nodes_begin();
	choose_habits();
	make_slots();
	end = world.now + some_span(FAULTS_LEAST, FAULTS_MOST);
	nemesis_plan(slots, slot_count, end, without);
	live_until(end);
	calm_down();
	live_until(world.now + 8 * NSEC_PER_SEC);
	nemesis_clear_up();
	await_all(CALM_LIMIT + (nsec)slot_count * 12 * NSEC_PER_SEC, "what it does in a calm world");
	live_until(world.now + ALL_LEASES_OVER);
	be_alone();
	live_until(world.now + 2 * NSEC_PER_SEC);
	check_nothing_left();
	world.tally.lived = world.now;
	members_end();
	net_end();
}
