/* COMMAND and everything that it started: found, signalled, killed and reaped.
 *
 * The keeper, the supervisor and the sentinel are child subreapers (prctl(2)), one above the other: what COMMAND leaves
 * behind becomes the child of the nearest of them that lives. When waitpid(2) says ECHILD there, everything is dead.
 * Nothing here needs memory, for killing must not fail for want of it. */
#ifndef CHILD_TREE_H
#define CHILD_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Become the subreaper of what is started later. Returns 0, or -1 with errno. */
__attribute__((warn_unused_result)) int tree_adopt(void);

/* What waitpid(2) told. */
enum tree_news {
	TREE_NOTHING, /* nothing more for now */
	TREE_LEADER,  /* COMMAND has ended: *STATUS */
	TREE_STOPPED, /* COMMAND is stopped: *STATUS */
	TREE_OTHER,   /* a descendant has ended */
	TREE_EMPTY    /* no process of the tree is left */
};

/* The next piece of news of our children, of whom LEADER is COMMAND (0: none is). Call it until it says TREE_NOTHING or
 * TREE_EMPTY. */
enum tree_news tree_wait(pid_t leader, int *status);

/* Processes that are to be left alone, with all that is below them. */
struct tree_spared {
	pid_t pids[64];
	size_t count;
	pid_t alone; /* is left alone itself, and what is below it is not; 0: none */
};

/* Leave all that we have below us now alone. Returns 0, or -1 where there is no /proc of our own pid namespace. */
int tree_spare_all(struct tree_spared *spared);

/* Leave PID alone, but not what is below it. */
void tree_spare_alone(struct tree_spared *spared, pid_t pid);

/* Its number may be given to anybody from now on. */
void tree_spare_no_more(struct tree_spared *spared, pid_t pid);

/* Send SIGNO to every process below us but SPARED (NULL: none). Our own children get it by their number, which only we
 * can free; all others through a pidfd, looked at once more, so that no process is hit that has got the number of one
 * that has died. Returns how many processes there were, or -1 where there is no /proc of our own pid namespace. */
ssize_t tree_signal(const struct tree_spared *spared, int signo);

/* SIGKILL for PID, if that is a child of PARENT. */
void tree_kill_one(pid_t pid, pid_t parent);

/* SIGKILL for our own children but SPARED, several times, as fast as can be: what forks and exits all the time becomes
 * our child each time, and must not outrun us. What was below those that have died is ours then. Returns as
 * tree_signal(). */
ssize_t tree_kill_children(const struct tree_spared *spared);

/* The same; then, for everything below them, SIGSTOP, for what is stopped starts nothing new, and SIGKILL. Returns as
 * tree_signal(). Call it again, without a pause as long as something dies, until waitpid(2) says ECHILD. */
ssize_t tree_kill(const struct tree_spared *spared);

/* Have the kernel reap our children that die from now on (SA_NOCLDWAIT), or have them wait for us again. Where nobody
 * wants to know any more how they ended, those that fork and exit all the time leave no heap of dead, in which we would
 * look for the living. */
void tree_leave_dead(bool to_kernel);

/* True where there are processes below us but SPARED, and all of them are dead: zombies of which no thread is left,
 * whom somebody who traces them has not waited for. False where there are none to be seen. */
bool tree_is_dead(const struct tree_spared *spared);

/* How the kernel runs a process among others. */
struct tree_pace {
	int policy, realtime; /* sched_setscheduler(2) */
	int nice;             /* setpriority(2) */
};

/* Ask the kernel to run us before all others, as far as it lets us: root before everything that is not real-time, all
 * others not at all. Returns how it was. */
struct tree_pace tree_hurry(void);

/* Be run as PACE says. Async-signal-safe. */
void tree_set_pace(const struct tree_pace *pace);

/* A process that SIGKILL has not ended. */
struct tree_survivor {
	pid_t pid;
	size_t others;    /* so many more there are */
	char name[32];    /* printable; "?" where /proc does not tell */
	char reason[160]; /* why, and what to do; completes "cannot be killed: " */
};

/* Find a process below us that is not SPARED and not dead. False where there is none to be seen. */
bool tree_find_survivor(const struct tree_spared *spared, struct tree_survivor *survivor);

#endif
