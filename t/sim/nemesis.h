/* What goes wrong, and when: planned before the run, from its seed, so that parts of the plan can be left out. */
#ifndef T_SIM_NEMESIS_H
#define T_SIM_NEMESIS_H

#include "node.h"

#define FAULTS 256

/* The faults that are left out. */
struct without {
	bool list[FAULTS];
};

/* Plan faults for SLOTS (COUNT of them) up to the time END. */
void nemesis_plan(struct slot *slots, size_t count, nsec end, const struct without *without);

/* Everything works again. */
void nemesis_rest(void);

/* Keys that somebody has put, and that never go by themselves, are deleted. */
void nemesis_clear_up(void);

#endif
