#include "lock/lock_events.h"

#include <stdlib.h>
#include <string.h>

void
report_free(struct report *report)
{
	free(report->place.holder);
	free(report->place.holder_key);
	free(report->text);
	*report = (struct report){ 0 };
}

const char *
report_text(const struct report *report)
{
	return report->text == NULL ? "no memory for the reason" : report->text;
}

struct report
report_of_trouble(const struct call_trouble *trouble)
{
	return (struct report){ .kind = REPORT_TROUBLE,
		.text = strdup(trouble->text),
		.answered = trouble->answered,
		.hopeless = trouble->hopeless };
}

void
lock_events_init(struct lock_events *events, struct loop *loop, void (*run)(void *arg), void *arg)
{
	*events = (struct lock_events){ .loop = loop };
	TAILQ_INIT(&events->results);
	task_init(&events->task, run, arg);
}

void
lock_events_clear(struct lock_events *events)
{
	struct lock_result *result;

	task_cancel(events->loop, &events->task);
	while (events->count > 0)
		report_free(&events->reports[--events->count]);
	while ((result = TAILQ_FIRST(&events->results)) != NULL) {
		TAILQ_REMOVE(&events->results, result, link);
		free(result);
	}
}

static void
take_out(struct lock_events *events, size_t index)
{
	events->count--;
	memmove(
	    &events->reports[index], &events->reports[index + 1], (events->count - index) * sizeof(events->reports[0]));
}

/* What has ended has ended for the first reason. */
static bool
is_final(enum report_kind kind)
{
	return kind == REPORT_KEY_GONE || kind == REPORT_REFUSED || kind == REPORT_RELEASED;
}

void
lock_events_post(struct lock_events *events, const struct report *report)
{
	struct report own = *report;

	for (size_t i = 0; i < events->count; i++) {
		struct report *queued = &events->reports[i];

		if (queued->kind != own.kind)
			continue;
		if (is_final(own.kind) && queued->generation == own.generation) {
			report_free(&own);
			return;
		}
		/* The mark, and then the end of the same key, which does not tell of it any more. */
		if (own.kind == REPORT_VANISHED && queued->how == VANISH_RELEASED &&
		    queued->generation == own.generation)
			own.how = VANISH_RELEASED;
		report_free(queued);
		take_out(events, i);
		break;
	}
	events->reports[events->count++] = own;
	task_post(events->loop, &events->task);
}

void
lock_events_post_result(struct lock_events *events, struct lock_result *result)
{
	TAILQ_INSERT_TAIL(&events->results, result, link);
	task_post(events->loop, &events->task);
}

bool
lock_events_next(struct lock_events *events, struct report *report)
{
	if (events->count == 0)
		return false;
	*report = events->reports[0];
	take_out(events, 0);
	return true;
}
