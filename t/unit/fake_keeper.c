#include "fake_keeper.h"

#include "fake_loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct orders orders;

static struct keeper_news queue[8];
static int queued;

void
keeper_forget(void)
{
	orders = (struct orders){ 0 };
	queued = 0;
}

void
keeper_says(struct keeper_news news)
{
	queue[queued++] = news;
	fake_loop_ready(KEEPER_SOCKET);
}

int
keeper_fork(struct keeper *keeper, const struct keeper_setup *setup)
{
	(void)setup;
	*keeper = (struct keeper){ .pid = KEEPER_PID, .socket = KEEPER_SOCKET };
	return 0;
}

int
keeper_start(const struct keeper *keeper, const struct keeper_start *start)
{
	(void)keeper;
	orders.starts++;
	orders.environment[0] = '\0';
	for (size_t i = 0; i < start->environment->count; i++) {
		strcat(orders.environment, start->environment->changes[i]);
		strcat(orders.environment, "\n");
	}
	errno = EPIPE;
	return orders.broken ? -1 : 0;
}

void
keeper_signal(const struct keeper *keeper, int signo, bool asks_to_end)
{
	(void)keeper;
	(void)asks_to_end;
	orders.signals++;
	orders.signo = signo;
}

void
keeper_signal_all(const struct keeper *keeper, int signo)
{
	(void)keeper;
	(void)signo;
	orders.all_signals++;
}

void
keeper_kill(const struct keeper *keeper)
{
	(void)keeper;
	orders.kills++;
}

void
keeper_dismiss(struct keeper *keeper)
{
	keeper->socket = -1;
	orders.dismissals++;
}

int
keeper_read(const struct keeper *keeper, struct keeper_news *news)
{
	(void)keeper;
	if (queued == 0)
		return 0;
	*news = queue[0];
	queued--;
	memmove(queue, queue + 1, (size_t)queued * sizeof(queue[0]));
	return 1;
}
