#include "etcdlocker/status.h"

#include "base/loop.h"
#include "etcdlocker/status_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is left of a lease changes every second anyway. */
#define WATCH_PERIOD NSEC_PER_SEC

struct status {
	const struct options *options;
	const struct logger *log;
	struct loop *loop;
	struct etcdlock_client *client;
	struct etcdlock_query *query;
	struct timer next;
	char *shown; /* what stands on the screen, without what changes every second */
	int code;
};

static char *
describe(const struct status *status, const struct etcdlock_contender *queue, size_t count, bool left)
{
	return (status->options->json ? status_json : status_text)(status->options->key, queue, count, left);
}

/* False where memory is short. On a terminal in place, else one behind the other, where something has changed. */
static bool
show(struct status *status, const struct etcdlock_contender *queue, size_t count)
{
	bool screen = status->options->watch && !status->options->json && isatty(STDOUT_FILENO);
	bool good;
	char *gist = describe(status, queue, count, false), *text = describe(status, queue, count, true);

	if (text == NULL || gist == NULL)
		log_msg(status->log, LEVEL_ERROR, "no memory");
	else if (screen)
		printf("\033[H\033[J%s", text);
	else if (status->shown == NULL || strcmp(status->shown, gist) != 0)
		fputs(text, stdout);
	fflush(stdout);
	free(status->shown);
	status->shown = gist;
	good = text != NULL && gist != NULL;
	free(text);
	return good;
}

static int
code_of(const struct options *options, const struct etcdlock_contender *queue, size_t count)
{
	if (count == 0 || (options->mine && strcmp(queue[0].id, etcdlock_config_id(options->config)) != 0))
		return STATUS_FREE;
	return STATUS_HELD;
}

static void
on_answer(void *arg, const struct etcdlock_contender *queue, size_t count, const char *error)
{
	struct status *status = arg;

	if (error != NULL) {
		log_msg(status->log, LEVEL_ERROR, "cannot tell who holds %.200s: %s", status->options->key, error);
		status->code = STATUS_UNKNOWN;
	} else {
		status->code = show(status, queue, count) ? code_of(status->options, queue, count) : STATUS_UNKNOWN;
	}
	/* The reader of our output might have gone. */
	if (!status->options->watch || ferror(stdout))
		loop_stop(status->loop);
	else
		timer_arm(status->loop, &status->next, clock_now() + WATCH_PERIOD);
}

static void
ask(void *arg)
{
	struct status *status = arg;

	etcdlock_query_free(status->query);
	status->query = etcdlock_query_new(status->client, status->options->config, on_answer, status);
	if (status->query == NULL)
		on_answer(status, NULL, 0, "no memory");
}

int
status_run(const struct options *options, const struct logger *log)
{
	struct status status = { .options = options, .log = log, .code = STATUS_UNKNOWN };
	char why[256] = "no memory, or too few descriptors (ulimit -n)";
	const char *what;

	timer_init(&status.next, ask, &status);
	status.loop = loop_new(NULL, &what);
	if (status.loop == NULL)
		snprintf(why, sizeof(why), "cannot start: %s: %s", what, strerror(errno));
	if (status.loop != NULL)
		status.client = etcdlock_client_new(
		    loop_base(status.loop), options->config, log->write, log->arg, why, sizeof(why));
	if (status.client != NULL) {
		timer_arm(status.loop, &status.next, clock_now());
		loop_run(status.loop);
		timer_disarm(status.loop, &status.next);
	} else {
		log_msg(log, LEVEL_ERROR, "%s", why);
	}
	if (ferror(stdout)) {
		log_msg(log, LEVEL_ERROR, "cannot write to stdout");
		status.code = STATUS_UNKNOWN;
	}
	etcdlock_query_free(status.query);
	etcdlock_client_free(status.client);
	loop_free(status.loop);
	free(status.shown);
	return status.code;
}
