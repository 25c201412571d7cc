/* A keeper without a process: orders are looked at, news is given, as the test says. It takes the place of
 * child/keeper.c and keeper_link.c. */
#ifndef T_UNIT_FAKE_KEEPER_H
#define T_UNIT_FAKE_KEEPER_H

#include "child/keeper.h"

#define KEEPER_PID 150
#define KEEPER_SOCKET 1000

/* What it was ordered to do. */
extern struct orders {
	int starts, signals, all_signals, kills, dismissals;
	int signo;             /* of the last signal to COMMAND */
	char environment[512]; /* of the last start: its changes, each with a newline behind it */
	bool broken;           /* set by the test: it takes no order to start */
} orders;

void keeper_forget(void);

/* NEWS is read, and what follows from it done. */
void keeper_says(struct keeper_news news);

#endif
