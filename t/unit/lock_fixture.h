/* A lock with a protocol that does nothing but count what it is asked for, and reports what the test says. */
#ifndef T_UNIT_LOCK_FIXTURE_H
#define T_UNIT_LOCK_FIXTURE_H

#include "lock/lock.h"

#include "unit.h"

/* What the protocol was asked for. */
extern struct asked {
	int joins, holds, looks, follows, renews, firm, releases, held, stops;
} asked;

extern struct session session;
extern struct etcdlock *lock;

/* What the user was told, but ETCDLOCK_STATE. */
extern enum etcdlock_event events[32];
extern size_t event_count;

#define WITH_LOCK(test) cmocka_unit_test_setup_teardown(test, make_lock, free_lock)

/* Runs the loop until COUNT events have come, at most 5 s. */
void await_events(size_t count);

/* A moment that lies SPAN back. */
struct moment ago(nsec span);

int make_lock(void **state);
int free_lock(void **state);

/* Have the protocol report something; and have the lock deal with it. */
void post(struct report report);
void report(struct report report);

void report_granted(void);
/* A report of PLACE; its texts are its own. */
struct report placed(const struct place *place);
void report_placed(const struct place *place);
void report_vanished(enum vanish how);
void report_renewed(const struct lease_term *term);
void report_gone(const char *why);
void report_trouble(const char *text, bool hopeless);
void report_released(void);

/* Our place with AHEAD others before us. */
struct place place(long ahead);

/* The lock is asked for, and waits behind one; and is ours. */
void wait_behind_one(void);
void hold(void);

#endif
