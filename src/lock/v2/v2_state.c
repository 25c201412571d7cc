/* What all parts of the v2 protocol need. */
#include "lock/v2/v2_struct.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
v2_wake(struct v2 *v2)
{
	task_post(v2->session->loop, &v2->advance);
}

nsec
v2_lock_ttl(const struct v2 *v2)
{
	return v2->contender->timing.ttl_s * NSEC_PER_SEC;
}

nsec
v2_try_limit(const struct v2 *v2)
{
	return timing_try_limit(v2_lock_ttl(v2));
}

void
v2_report(struct v2 *v2, struct report report)
{
	report.generation = v2->generation;
	lock_events_post(v2->contender->events, &report);
}

void
v2_report_place(struct v2 *v2, const char *holder)
{
	struct report report = { .kind = REPORT_PLACED,
		.place = { .ahead = holder != NULL,
		    .revision = v2->modified,
		    .term = v2->term,
		    .vanished = v2->vanished,
		    .told = holder == NULL } };

	/* A waiter has no lease. This term, which wears out, makes the lock look now and then. */
	if (holder != NULL) {
		char *own = strdup(holder);

		report.place.term = (struct lease_term){ .sent = clock_moment(), .ttl = v2_lock_ttl(v2) };
		report.place.holder = strdup(holder);
		free(v2->holder);
		v2->holder = own;
	}
	v2->reported = true;
	v2_report(v2, report);
}

void
v2_report_renewed(struct v2 *v2, struct moment sent)
{
	v2->term = (struct lease_term){ .sent = sent, .ttl = v2->ttl };
	v2_report(v2, (struct report){ .kind = REPORT_RENEWED, .place.term = v2->term });
	/* The TTL that was asked for might not be the lock's any more. */
	if (v2->ttl != v2_lock_ttl(v2))
		v2_want_change(v2, V2_STEP_REFRESH);
}

void
v2_lost(struct v2 *v2, const struct v2_node *node)
{
	const char *key = v2->contender->key;
	char why[256];

	if (node == NULL)
		snprintf(why, sizeof(why), "its key %.150s is gone: deleted from outside, or expired", key);
	else
		snprintf(
		    why, sizeof(why), "its key %.150s was changed from outside at index %" PRId64, key, node->modified);
	v2->overwritten = true;
	v2->goal = GOAL_NONE;
	v2_report(v2, (struct report){ .kind = REPORT_KEY_GONE, .text = strdup(why) });
}

bool
v2_was_taken_away(const struct v2_answer *event)
{
	static const char *const own[] = { "create", "compareAndSwap", "compareAndDelete" };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(event->action, own[i]) == 0)
			return false;
	return true;
}

void
v2_report_released(struct v2 *v2)
{
	v2->goal = GOAL_NONE;
	v2->created = v2->modified = 0;
	v2_report(v2, (struct report){ .kind = REPORT_RELEASED });
}

enum call_verdict
v2_other_answer(struct v2 *v2, const struct verdict *verdict, char text[CALL_TEXT])
{
	/* The password might have been changed since it was good. */
	if (!verdict_is_refusal(verdict) || goal_is_persistent(v2->goal) ||
	    (verdict->kind == VERDICT_UNAUTHENTICATED && v2->reported))
		return CALL_RETRY;
	v2->goal = GOAL_NONE;
	v2_report(v2, (struct report){ .kind = REPORT_REFUSED, .text = strdup(text) });
	return CALL_DONE;
}

void
v2_want_change(struct v2 *v2, enum v2_step step)
{
	v2->next = step;
	v2->ambiguous = v2->due = false;
	v2_wake(v2);
}

void
v2_want_end(struct v2 *v2)
{
	v2_want_change(v2, v2->held ? V2_STEP_DELETE : V2_STEP_EXPIRE);
}

void
v2_want_read(struct v2 *v2)
{
	v2->read_wanted = v2->read_wanted || !call_active(&v2->read);
	v2_wake(v2);
}

void
v2_trouble(struct v2 *v2, const struct call_trouble *trouble)
{
	/* A poll at an endpoint that does not answer might be silent for the same reason. */
	if (attempt_is_out(&v2->wait) && trouble->endpoint == v2->wait.endpoint) {
		v2->poll_wanted = true;
		v2_wake(v2);
	}
	v2_report(v2, report_of_trouble(trouble));
}
