#include "etcdlocker/status.h"

#include "base/strbuf.h"
#include "net/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
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

#define NAME 128

/* The id for people: on one line, and cut where it is long. Returns NAME's length. */
static size_t
name_of(const struct etcdlock_contender *contender, char name[NAME])
{
	snprintf(name, NAME, "%s", contender->id[0] != '\0' ? contender->id : "(no id)");
	log_printable(name);
	return strlen(name);
}

/* A table for people. Time left is told where LEFT. NULL when memory is short. */
static char *
as_text(const struct status *status, const struct etcdlock_contender *queue, size_t count, bool left)
{
	char *text = str_printf("%s is %s\n", status->options->key, count > 0 ? "held" : "free"), *longer;
	char name[NAME];
	size_t width = 0, len;

	for (size_t i = 0; i < count; i++)
		if ((len = name_of(&queue[i], name)) > width)
			width = len;
	for (size_t i = 0; text != NULL && i < count; i++) {
		char rank[24], time_left[32] = "";

		snprintf(rank, sizeof(rank), i == 0 ? "holder" : "%zu", i);
		if (left && queue[i].left_ms >= 0)
			snprintf(time_left, sizeof(time_left), "  %" PRId64 "s left", queue[i].left_ms / 1000);
		name_of(&queue[i], name);
		longer = str_printf("%s  %-6s  %-*s  since revision %" PRId64 "%s\n", text, rank, (int)width, name,
		    queue[i].revision, time_left);
		free(text);
		text = longer;
	}
	return text;
}

static json_t *
contender_object(const struct etcdlock_contender *contender, bool left)
{
	json_t *object = json_pack(
	    "{s:s, s:s, s:I}", "id", contender->id, "key", contender->key, "revision", (json_int_t)contender->revision);

	/* An id of another client's need not be UTF-8. */
	if (object == NULL)
		object = json_pack("{s:n, s:n, s:I}", "id", "key", "revision", (json_int_t)contender->revision);
	if (left && contender->left_ms >= 0)
		json_object_set_new(object, "ttl_left", json_integer(contender->left_ms / 1000));
	return object;
}

/* One line for programs. NULL when memory is short. */
static char *
as_json(const struct status *status, const struct etcdlock_contender *queue, size_t count, bool left)
{
	json_t *waiting = json_array(), *object;
	char *text = NULL, *line = NULL;

	for (size_t i = 1; i < count; i++)
		json_array_append_new(waiting, contender_object(&queue[i], left));
	object = json_pack("{s:s, s:b, s:o, s:o}", "lock", status->options->key, "held", count > 0, "holder",
	    count > 0 ? contender_object(&queue[0], left) : json_null(), "waiting", waiting);
	if (object != NULL)
		text = json_dumps(object, 0);
	if (text != NULL)
		line = str_printf("%s\n", text);
	free(text);
	json_decref(object);
	return line;
}

static char *
describe(const struct status *status, const struct etcdlock_contender *queue, size_t count, bool left)
{
	return status->options->json ? as_json(status, queue, count, left) : as_text(status, queue, count, left);
}

/* On a terminal in place, else one behind the other, where something has changed. */
static void
show(struct status *status, const struct etcdlock_contender *queue, size_t count)
{
	bool screen = status->options->watch && !status->options->json && isatty(STDOUT_FILENO);
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
	free(text);
}

static void
on_answer(void *arg, const struct etcdlock_contender *queue, size_t count, const char *error)
{
	struct status *status = arg;

	if (error != NULL) {
		log_msg(status->log, LEVEL_ERROR, "cannot tell who holds %.200s: %s", status->options->key, error);
		status->code = STATUS_UNKNOWN;
	} else {
		show(status, queue, count);
		status->code = count > 0 ? STATUS_HELD : STATUS_FREE;
	}
	/* Whoever reads our output may have gone. */
	if (!status->options->watch || ferror(stdout))
		event_base_loopbreak(loop_base(status->loop));
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
	char why[256] = "no memory or descriptors";

	timer_init(&status.next, ask, &status);
	status.loop = loop_new(NULL);
	if (status.loop != NULL)
		status.client = etcdlock_client_new(
		    loop_base(status.loop), options->config, log->write, log->arg, why, sizeof(why));
	if (status.client != NULL) {
		timer_arm(status.loop, &status.next, clock_now());
		event_base_dispatch(loop_base(status.loop));
		timer_disarm(status.loop, &status.next);
	} else {
		log_msg(log, LEVEL_ERROR, "%s", why);
	}
	if (ferror(stdout))
		status.code = STATUS_UNKNOWN;
	etcdlock_query_free(status.query);
	etcdlock_client_free(status.client);
	loop_free(status.loop);
	free(status.shown);
	return status.code;
}
