/* What COMMAND does: it runs for a while, starts others, obeys or not. */
#include "node.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define TREE_MOST 12

static void on_plan(void *arg);

static struct proc *
add(struct node *node, struct proc *parent, nsec ends)
{
	struct proc *self = current, *proc;

	current = NULL;
	proc = proc_new(PROC_COMMAND, parent, NULL, NULL);
	current = self;
	node->processes++;
	node->living++;
	proc->obeys = habits.calm || !one_in(habits.stubborn ? 1 : 4);
	proc->ends = ends;
	proc->plan = (struct alarm){ .ring = on_plan, .arg = proc };
	alarm_set(&proc->plan, one_in(3) ? world.now + some_span(1000, NSEC_PER_SEC) : ends);
	return proc;
}

static nsec
some_run(void)
{
	if (habits.brisk && !one_in(50))
		return some_span(NSEC_PER_MSEC, 20 * NSEC_PER_MSEC);
	if (habits.stubborn && !habits.calm)
		return between(NSEC_PER_SEC, 200 * NSEC_PER_SEC);
	return some_span(NSEC_PER_MSEC, (habits.calm ? 1 : habits.longest_run_s) * NSEC_PER_SEC);
}

static void
on_plan(void *arg)
{
	struct proc *proc = arg, *child;

	if (proc->stopped) {
		alarm_set(&proc->plan, world.now + 20 * NSEC_PER_MSEC);
		return;
	}
	if (world.now >= proc->ends) {
		proc_die(proc, one_in(4) ? (int)between(10, 120) << 8 : 0);
		return;
	}
	if (proc->node->living < TREE_MOST) {
		child = add(proc->node, proc, one_in(3) ? world.now + some_run() : proc->ends);
		child->group = one_in(3) ? child->pid : proc->group;
		note("%s: %d starts %d", proc->node->id, proc->pid, child->pid);
	}
	/* Some fork all the time, and some fork and exit. */
	if (one_in(8))
		proc->ends = world.now + some_span(1000, NSEC_PER_MSEC);
	alarm_set(&proc->plan,
	    one_in(3) && world.now + NSEC_PER_MSEC < proc->ends ? world.now + some_span(1000, NSEC_PER_MSEC)
								: proc->ends);
}

void
node_command_signalled(struct proc *proc, int signo)
{
	if (signo != SIGTERM || !proc->obeys || proc->ends <= world.now)
		return;
	proc->ends = world.now + some_span(NSEC_PER_MSEC, 2 * NSEC_PER_SEC);
	alarm_set(&proc->plan, proc->ends);
}

void
commands_end_soon(void)
{
	struct proc *proc;

	TAILQ_FOREACH(proc, &procs, link)
	{
		if (proc->kind != PROC_COMMAND || proc->dead || proc->ends < world.now + NSEC_PER_SEC)
			continue;
		proc->ends = world.now + some_span(NSEC_PER_MSEC, NSEC_PER_SEC);
		alarm_set(&proc->plan, proc->ends);
	}
}

static int64_t
token_of(char *const envp[])
{
	for (; *envp != NULL; envp++)
		if (strncmp(*envp, "ETCD_LOCK_REV=", 14) == 0)
			return strtoll(*envp + 14, NULL, 10);
	broken("COMMAND gets no ETCD_LOCK_REV");
}

pid_t
node_spawn(const struct spawn *spawn)
{
	struct node *node = current->node;
	struct proc *leader;

	world.tally.starts++;
	check_start(node, token_of(spawn->envp));
	leader = add(node, current, world.now + some_run());
	leader->death_signal = SIGKILL;
	note("%s: COMMAND is %d, token %lld", node->id, leader->pid, (long long)token_of(spawn->envp));
	*spawn->leader = leader->pid;
	*spawn->failure = (struct spawn_failure){ .stage = SPAWN_EXEC };
	if (one_in(50)) {
		spawn->failure->errnum = 2;
		proc_die(leader, 127 << 8);
	}
	return leader->pid;
}
