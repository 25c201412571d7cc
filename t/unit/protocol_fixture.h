/* One contender with a protocol, without a lock: what it reports is looked at. */
#ifndef T_UNIT_PROTOCOL_FIXTURE_H
#define T_UNIT_PROTOCOL_FIXTURE_H

#include "fake_http.h"
#include "fake_loop.h"

#include "lock/lock_events.h"
#include "lock/protocol.h"

#include "unit.h"

extern struct contender contender;
extern void *protocol;

/* A contender for /l with the id "me", a TTL of 60 s, on one endpoint. Returns as cmocka's set-up functions. */
int contend(const struct protocol *ops, bool v2);

/* The same for cmocka, afterwards: nothing may be left behind. */
int stop_contending(void **state);

/* Begin another task: reports are of it from now on. */
void next_generation(void);

/* The next report, which is of KIND; the one before it is freed. Fails the test where it is another, or where there is
 * none. */
const struct report *reported(enum report_kind kind);

/* Fails the test where there is a report. */
void nothing_is_reported(void);

#endif
