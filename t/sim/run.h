/* One run: a world from a seed, lived to its end. */
#ifndef T_SIM_RUN_H
#define T_SIM_RUN_H

#include "nemesis.h"

#include <stdint.h>
#include <stdio.h>

/* Where the history goes. */
FILE *run_history(void);

/* All of it, without the faults of WITHOUT. Where something is found it does not return, but ends the process: see
 * run_found(). */
void run_world(uint64_t seed, const struct without *without);

/* Set by main.c: told what was found, and does not return. */
_Noreturn void run_found(const char *text);

#endif
