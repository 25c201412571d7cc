/* What can go wrong. */
#ifndef T_SIM_FAULTS_H
#define T_SIM_FAULTS_H

#include "node.h"

struct fault {
	const struct kind *kind;
	struct slot *slot; /* whom it is about, where it is about one */
	int host, member;
	uint64_t number; /* any */
	nsec span;
	struct alarm begin, end, step; /* STEP: of what it does meanwhile */
	uint64_t phase;                /* of STEP */
	bool calm;                     /* nothing else goes wrong at its time */
	pid_t pids[2];                 /* of what it has stopped */
};

/* So long after a key was deleted nothing else must go wrong: two lock delays, and what a watch takes. */
#define CALM (3 * NSEC_PER_SEC)

enum aim { AIM_ETCD, AIM_NODE };

/* Whether one alone can cost a lock that is held. */
enum roughness { GENTLE, ROUGH };

struct kind {
	const char *name;
	enum aim aim;
	enum roughness roughness;
	void (*begin)(struct fault *fault);
	void (*end)(struct fault *fault); /* NULL: there is nothing to undo */
	bool (*possible)(void);           /* NULL: always */
};

#define FAULT_KINDS 35
extern const struct kind fault_kinds[FAULT_KINDS];

/* Some of them: a host is cut off from all members, its lines come and go, etcd is full after an answer was lost,
 * somebody deletes a key, and tokens die. */
extern const struct kind *const fault_cut_host, *const fault_flap, *const fault_full, *const fault_delete,
											  *const fault_tokens;

/* Most of what is about a host or its processes is about one where COMMAND runs, if there is one. */
void fault_aim_at_holder(struct fault *fault);

#endif
