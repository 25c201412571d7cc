#include "node.h"

#include "etcdlocker/outcome.h"
#include "etcdlocker/sentinel.h"
#include "heap.h"
#include "kernel.h"
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct nodes nodes;
struct habits habits;

static void
write_line(void *arg, int level, const char *line)
{
	const struct node *node = arg;

	(void)level;
	note("%s %s", node->id, line);
}

/* --- options --- */

static void set(struct node *node, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void
set(struct node *node, const char *name, const char *format, ...)
{
	char value[128], why[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(value, sizeof(value), format, arguments);
	va_end(arguments);
	if (etcdlock_config_set(node->options.config, name, value, why, sizeof(why)) == -1)
		broken("%s: %s", name, why);
}

/* The place of a TTL in the list below. */
static int64_t
some_ttl(void)
{
	if (habits.gentle || (habits.brisk && one_in(2)))
		return between(4, 5);
	return between(0, habits.short_leases ? 2 : 5);
}

static void
choose_times(struct node *node)
{
	static const int ttls[] = { 2, 3, 5, 10, 30, 60 };
	int ttl = ttls[some_ttl()];

	set(node, "ttl", "%d", ttl);
	if (habits.keepalive && one_in(2))
		set(node, "renew", "keepalive");
	if (habits.gentle && one_in(2))
		set(node, "refresh", "%dms", (int)between(500, 5000));
	if (habits.gentle)
		return;
	if (one_in(4))
		set(node, "refresh", "%dms", ttl * (int)between(100, 450));
	if (one_in(4))
		set(node, "grace", "%dms", (int)between(0, ttl * 100));
	/* The delay hides what a lease that is counted wrongly leads to. */
	if (habits.cuts || (!habits.deletes && one_in(2)))
		set(node, "lock-delay", "%dms", !one_in(3) ? 0 : (int)between(0, 2000));
	if (!habits.calm && one_in(8))
		set(node, "wait", "%d", one_in(2) ? 0 : (int)between(1, 20));
}

static void
choose_options(struct node *node)
{
	static char job[] = "job";
	static char *const words[] = { job, NULL };
	struct options *options = &node->options;
	char why[256];

	*options = (struct options){ .command = words,
		.key = node->slot->key,
		.signal = SIGTERM,
		.conflict_code = 1,
		.notify_fd = -1,
		.restart = habits.calm || !one_in(habits.brisk ? 50 : 5) ? RESTART_NEVER
		    : one_in(2)                                          ? RESTART_ALWAYS
									 : RESTART_ON_FAILURE,
		.relock = !habits.calm && one_in(habits.brisk ? 50 : 4),
		.group = one_in(4),
		.config = etcdlock_config_new() };
	set(node, "endpoints", "m0:2379,m1:2379,m2:2379");
	set(node, "key", "%s", node->slot->key);
	set(node, "id", "%s", node->id);
	if (habits.v2)
		set(node, "api", "v2");
	if (cluster_state.auth)
		set(node, "user", "job:secret");
	choose_times(node);
	if (etcdlock_config_check(options->config, why, sizeof(why)) == -1) {
		set(node, "refresh", "%s", "0.5");
		set(node, "grace", "%s", "0");
	}
	options->grace = one_in(2) ? 8 * NSEC_PER_SEC : some_span(NSEC_PER_MSEC, 5 * NSEC_PER_SEC);
}

/* --- life --- */

/* As main() does it. */
static void
be_sentinel(void *arg)
{
	struct node *node = arg;

	if (deadman_open(&node->deadman, strlen(node->slot->key)) == -1)
		broken("no shared page");
	proc_die(current, sentinel_run(&node->setup) << 8);
}

static nsec
some_pause(void)
{
	if (habits.brisk && !one_in(50))
		return some_span(NSEC_PER_MSEC, 20 * NSEC_PER_MSEC);
	return one_in(3) ? some_span(NSEC_PER_MSEC, 30 * NSEC_PER_SEC) : some_span(NSEC_PER_MSEC, 2 * NSEC_PER_SEC);
}

static void
on_over(void *arg)
{
	struct node *node = arg;
	struct slot *slot = node->slot;

	note("%s: over", node->id);
	net_node_gone(node);
	raft_node_gone(node);
	kernel_unmap(node->deadman.shared);
	etcdlock_config_free(node->options.config);
	TAILQ_REMOVE(&nodes, node, link);
	free(node);
	slot->node = NULL;
	if (!habits.calm)
		alarm_set(&slot->next, world.now + some_pause());
}

void
node_begin(struct slot *slot)
{
	struct node *node = calloc(1, sizeof(*node));

	if (node == NULL)
		abort();
	slot->node = node;
	slot->runs++;
	node->slot = slot;
	node->token = -1;
	node->came = world.now;
	snprintf(node->id, sizeof(node->id), "n%d.%d", slot->number, slot->runs);
	node->log =
	    (struct logger){ .write = write_line, .arg = node, .threshold = world.noting ? LEVEL_DEBUG : LEVEL_ERROR };
	node->service = (struct service){ .news = { -1, -1 }, .socket = -1, .ready_fd = -1 };
	node->over = (struct alarm){ .ring = on_over, .arg = node };
	choose_options(node);
	node->setup = (struct setup){ .options = &node->options,
		.signals = &node->signals,
		.log = &node->log,
		.deadman = &node->deadman,
		.service = &node->service,
		.cgroup = { .parent = -1, .dir = -1, .kill = -1 } };
	TAILQ_INSERT_TAIL(&nodes, node, link);
	node->sentinel = proc_new(PROC_SENTINEL, NULL, be_sentinel, node);
	node->sentinel->host = &slot->host;
	node->sentinel->node = node;
	node->processes = 1;
	note("%s: begins, ttl %lld ms, refresh %lld ms, grace %lld ms%s", node->id,
	    (long long)etcdlock_config_ms(node->options.config, "ttl"),
	    (long long)etcdlock_config_ms(node->options.config, "refresh"),
	    (long long)etcdlock_config_ms(node->options.config, "grace"), node->options.relock ? ", relock" : "");
	proc_wake(node->sentinel, 0);
}

static enum proc_kind
kind_of_child(const struct node *node)
{
	if (current->kind == PROC_SUPERVISOR)
		return PROC_KEEPER;
	return node->supervised ? PROC_HELPER : PROC_SUPERVISOR;
}

struct proc *
node_fork(void (*run)(void *arg), void *arg)
{
	struct node *node = current->node;
	enum proc_kind kind = kind_of_child(node);
	struct proc *self = current, *child;

	current = NULL;
	child = proc_new(kind, self, run, arg);
	current = self;
	node->processes++;
	if (kind == PROC_SUPERVISOR) {
		node->supervisor = child;
		node->supervised = true;
		child->starves = node->starves;
	} else if (kind == PROC_KEEPER) {
		node->keeper = child;
	}
	note("%s: %d is its %s", node->id, child->pid,
	    kind == PROC_SUPERVISOR   ? "supervisor"
		: kind == PROC_KEEPER ? "keeper"
				      : "helper");
	return child;
}

void
node_process_gone(struct proc *proc)
{
	struct node *node = proc->node;

	if (proc == node->sentinel)
		node->sentinel = NULL;
	if (proc == node->supervisor)
		node->supervisor = NULL;
	if (proc == node->keeper)
		node->keeper = NULL;
	if (proc->kind == PROC_COMMAND)
		node->living--;
	if (proc->kind == PROC_SUPERVISOR && WIFEXITED(proc->status) && WEXITSTATUS(proc->status) == EXIT_LOST)
		check_lost(node);
	if (WIFEXITED(proc->status) && (proc->kind == PROC_SUPERVISOR || proc->kind == PROC_HELPER) && !proc->starves &&
	    heap_blocks(proc) > 0)
		broken("%s: %d leaves %zu blocks of memory behind", node->id, proc->pid, heap_blocks(proc));
	if (--node->processes == 0)
		alarm_set(&node->over, world.now);
}

void
nodes_begin(void)
{
	TAILQ_INIT(&nodes);
}
