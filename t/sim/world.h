/* The simulated world: true time, what is to happen when, chance, and the history of what has happened.
 *
 * All of it follows from one seed. Two things that are to happen at the same time happen in an order that chance
 * decides. */
#ifndef T_SIM_WORLD_H
#define T_SIM_WORLD_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Something that is to happen, embedded in its owner. Zero it, and set RING and ARG. */
struct alarm {
	nsec at;
	uint64_t tie; /* decides between two of one time */
	size_t slot;  /* in the world's heap, from 1 on; 0: it is not set */
	void (*ring)(void *arg);
	void *arg;
};

/* What a run has seen, for the report. */
struct tally {
	uint64_t acquisitions, starts, faults, requests, steps, losses;
	nsec lived;
};

extern struct world {
	nsec now;
	bool noting; /* the history is wanted */
	struct tally tally;
} world;

void world_begin(uint64_t seed);

/* The next thing happens; false where nothing is to, or not before LIMIT. */
bool world_step(nsec limit);

void alarm_set(struct alarm *alarm, nsec at);
void alarm_stop(struct alarm *alarm);

/* --- chance --- */

uint64_t chance(void);

/* True in one of N times; N is at least 1. */
bool one_in(uint64_t n);

/* From LEAST to MOST, both included. */
int64_t between(int64_t least, int64_t most);

/* A span up to MOST, of any order of magnitude from LEAST on. */
nsec some_span(nsec least, nsec most);

/* --- history --- */

/* A line of the history, with the time before it. */
#define note(...) (world.noting ? world_note(__VA_ARGS__) : (void)0)
__attribute__((format(printf, 1, 2))) void world_note(const char *format, ...);

/* The run has found something: what is wrong. Does not return. */
__attribute__((format(printf, 1, 2))) _Noreturn void broken(const char *format, ...);

#endif
