/* A loop and a clock that stand still: time passes when the test says so, and nothing else happens meanwhile. They take
 * the place of base/loop.c and base/clock.c where a test is linked with fake_loop.c. */
#ifndef T_UNIT_FAKE_LOOP_H
#define T_UNIT_FAKE_LOOP_H

#include "base/loop.h"

/* The loop that every loop_new() returns. */
extern struct loop fake_loop;

/* Run what is posted and due, until there is nothing left to do at this moment. */
void fake_loop_run(void);

/* Let SPAN pass: timers fire in their order, each at its time. */
void fake_loop_advance(nsec span);

/* FD is ready for what it is watched for: whoever watches it is called. */
void fake_loop_ready(int fd);

/* The same of all that are watched: whoever finds nothing there makes nothing of it. */
void fake_loop_ready_all(void);

/* What loop_run() does until loop_stop(): one STEP after the other, from 0 on. */
extern void (*fake_loop_step)(int step);

/* How many timers are armed. */
size_t fake_loop_timers(void);

#endif
