/* The past: what happened to the key between the last event that a waiter knows of and its own creation. Others can
 * have come and gone meanwhile, and one of them without a word: etcd's events tell, which are read one by one. */
#include "lock/v2/v2_struct.h"

void
v2_past_advance(struct v2 *v2)
{
	if (v2->past == 0 || call_active(&v2->history))
		return;
	if (call_request(
		&v2->history, "GET", v2_encode_wait(v2->contender->key, v2->past + 1), false, v2_try_limit(v2)) == -1)
		v2_report(v2, (struct report){ .kind = REPORT_NO_MEMORY });
}

void
v2_past_stop(struct v2 *v2)
{
	call_stop(&v2->history);
	v2->past = 0;
}

/* Nothing more of it matters. Meanwhile nothing has told of our own key. */
static void
finish(struct v2 *v2)
{
	v2->past = 0;
	v2_want_read(v2);
}

/* All of it was over when our creation was answered. */
static void
note_vanished(struct v2 *v2)
{
	v2->vanished = v2->created_at;
}

static void
on_event(struct v2 *v2, const struct v2_answer *event)
{
	const nsec delay = v2->contender->timing.delay_ms * NSEC_PER_MSEC;

	if (event->node.modified < v2->created && v2_was_taken_away(event))
		note_vanished(v2);
	v2->past = event->node.modified;
	if (v2->past + 1 >= v2->created || clock_now() >= clock_add(v2->created_at, delay))
		finish(v2);
}

static enum call_verdict
on_answer(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct v2 *v2 = arg;

	v2_wake(v2);
	if (v2->goal == GOAL_NONE)
		return CALL_DONE;
	if (verdict->kind == VERDICT_OK) {
		on_event(v2, &verdict->v2);
	} else if (verdict->kind == VERDICT_OUTDATED) {
		note_vanished(v2);
		finish(v2);
	} else {
		return v2_other_answer(v2, verdict, text);
	}
	return CALL_DONE;
}

/* The next tries can take as long as the lock delay. */
static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct v2 *v2 = arg;

	v2_trouble(v2, trouble);
	v2_past_stop(v2);
	note_vanished(v2);
	finish(v2);
}

void
v2_past_init(struct v2 *v2)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble, .arg = v2 };

	call_init(&v2->history, v2->session, &owner);
}
