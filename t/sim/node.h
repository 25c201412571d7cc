/* One run of etcdlocker on a host: the real sentinel, supervisor and keeper, and a COMMAND that does as it likes. A
 * slot has one after the other. */
#ifndef T_SIM_NODE_H
#define T_SIM_NODE_H

#include "child/spawn.h"
#include "etcdlocker/setup.h"
#include "member.h"
#include "proc.h"

struct slot {
	int number;
	struct host host;
	struct node *node; /* NULL: none runs */
	struct alarm next;
	const char *key;
	int key_number;
	int runs;
};

struct node {
	struct slot *slot;
	char id[32];
	struct options options;
	struct signal_state signals;
	struct deadman deadman;
	struct service service;
	struct logger log;
	struct setup setup;
	struct proc *sentinel, *supervisor, *keeper; /* NULL: gone */
	int processes, living;                       /* of all; of COMMAND's */
	int64_t token;                               /* of its last start */
	bool supervised;                             /* it has had its supervisor */
	nsec excused;                                /* what it runs might overlap until then: it could not know */
	char joined[64];                             /* the key, in base64, that it has put into the queue; "": none */
	nsec came;                                   /* when it came for the lock: with v3 into the queue, last */
	nsec deleted;                                /* when its key was deleted from outside, first; 0: it was not */
	bool starves;
	struct alarm over;
	TAILQ_ENTRY(node) link;
};

TAILQ_HEAD(nodes, node);
extern struct nodes nodes;

/* What all nodes of a world have in common. */
struct habits {
	bool v2, deletes, restores, keepalive, slews;
	bool cuts;     /* hosts are cut off, and nothing else happens */
	bool brisk;    /* COMMANDs are short, and so are pauses */
	bool stubborn; /* COMMANDs run long, and do not obey */
	bool gentle;   /* nothing that costs a lock happens */
	bool dozes;    /* processes are not run at once, often */
	bool short_leases;
	int longest_run_s;
	bool calm; /* COMMANDs are short, and nobody begins anew */
};
extern struct habits habits;

void nodes_begin(void);

void node_begin(struct slot *slot);

/* For what has the processes. */
struct proc *node_fork(void (*run)(void *arg), void *arg);
void node_process_gone(struct proc *proc);

/* --- command.c --- */

pid_t node_spawn(const struct spawn *spawn);
void node_command_signalled(struct proc *proc, int signo);

/* What runs ends within a second. */
void commands_end_soon(void);

/* --- check.c --- */

/* COMMAND starts, with this token. */
void check_start(struct node *node, int64_t token);

/* Something is agreed upon in the next moment. */
void node_before_op(const struct op *op);

/* The store is about to be another one, in which NODE might have nothing. */
void check_restored(struct node *node);

/* KEY is about to be deleted or changed behind the back of who has it. CALM: nothing else goes wrong meanwhile. */
void check_deleted(const char *key, const char *key64, bool calm);

/* NODE says that the lock was lost. */
void check_lost(const struct node *node);

/* After a run: nothing may be left. */
void check_nothing_left(void);

#endif
