#include "world.h"

#include "run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct world world;

static uint64_t state[4];

#define ALARMS 16384

/* A binary heap; the first element is in slot 1. */
static struct {
	struct alarm *slots[ALARMS + 1];
	size_t count;
} heap;

/* --- chance: xoshiro256** (Blackman, Vigna), seeded by splitmix64 --- */

static uint64_t
rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

uint64_t
chance(void)
{
	uint64_t result = rotate(state[1] * 5, 7) * 9, shifted = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= shifted;
	state[3] = rotate(state[3], 45);
	return result;
}

static void
chance_seed(uint64_t seed)
{
	for (size_t i = 0; i < 4; i++) {
		uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		state[i] = z ^ (z >> 31);
	}
}

bool
one_in(uint64_t n)
{
	return chance() % n == 0;
}

int64_t
between(int64_t least, int64_t most)
{
	return least + (int64_t)(chance() % (uint64_t)(most - least + 1));
}

nsec
some_span(nsec least, nsec most)
{
	int doublings = 0;
	nsec bound = least;

	if (most <= least)
		return most;
	while (bound < most && bound <= NSEC_NEVER / 2) {
		bound *= 2;
		doublings++;
	}
	/* An order of magnitude first, then a place in it. */
	bound = least << between(0, doublings);
	return bound < most ? between(bound / 2, bound) : between(bound / 2, most);
}

/* --- time --- */

static bool
is_before(const struct alarm *a, const struct alarm *b)
{
	return a->at != b->at ? a->at < b->at : a->tie < b->tie;
}

static void
put(struct alarm *alarm, size_t slot)
{
	heap.slots[slot] = alarm;
	alarm->slot = slot;
}

static void
rise(struct alarm *alarm)
{
	size_t slot = alarm->slot;

	while (slot > 1 && is_before(alarm, heap.slots[slot / 2])) {
		put(heap.slots[slot / 2], slot);
		slot /= 2;
	}
	put(alarm, slot);
}

static void
sink(struct alarm *alarm)
{
	size_t slot = alarm->slot;

	for (;;) {
		size_t child = slot * 2;

		if (child > heap.count)
			break;
		if (child < heap.count && is_before(heap.slots[child + 1], heap.slots[child]))
			child++;
		if (is_before(alarm, heap.slots[child]))
			break;
		put(heap.slots[child], slot);
		slot = child;
	}
	put(alarm, slot);
}

void
alarm_stop(struct alarm *alarm)
{
	struct alarm *last;
	size_t slot = alarm->slot;

	if (slot == 0)
		return;
	alarm->slot = 0;
	last = heap.slots[heap.count--];
	if (last == alarm)
		return;
	put(last, slot);
	rise(last);
	sink(last);
}

void
alarm_set(struct alarm *alarm, nsec at)
{
	alarm_stop(alarm);
	if (heap.count == ALARMS)
		abort();
	alarm->at = at < world.now ? world.now : at;
	alarm->tie = chance();
	put(alarm, ++heap.count);
	rise(alarm);
}

bool
world_step(nsec limit)
{
	struct alarm *alarm;

	if (heap.count == 0 || heap.slots[1]->at > limit)
		return false;
	alarm = heap.slots[1];
	alarm_stop(alarm);
	world.now = alarm->at;
	world.tally.steps++;
	alarm->ring(alarm->arg);
	return true;
}

void
world_begin(uint64_t seed)
{
	bool noting = world.noting;

	heap.count = 0;
	world = (struct world){ .noting = noting };
	chance_seed(seed);
}

/* --- history --- */

static void
print(const char *format, va_list arguments)
{
	fprintf(run_history(), "%12.6f ", (double)world.now / 1e9);
	vfprintf(run_history(), format, arguments);
	fputc('\n', run_history());
}

void
world_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(format, arguments);
	va_end(arguments);
}

void
broken(const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	note("FOUND: %s", text);
	run_found(text);
}
