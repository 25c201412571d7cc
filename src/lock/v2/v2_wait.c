/* The long poll for the next event of the key, from where the last one was on. */
#include "lock/v2/v2_struct.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_MAX_BODY ((size_t)1 << 20)

static void
poll_stop(struct v2 *v2)
{
	attempt_cancel(&v2->wait);
	timer_disarm(v2->session->loop, &v2->again);
}

static void
poll_after(struct v2 *v2, nsec delay)
{
	poll_stop(v2);
	timer_arm(v2->session->loop, &v2->again, clock_add(clock_now(), delay));
}

static bool
is(const struct v2_answer *event, const char *action)
{
	return strcmp(event->action, action) == 0;
}

static bool
is_end(const struct v2_answer *event)
{
	return is(event, "delete") || is(event, "expire") || is(event, "compareAndDelete");
}

/* While we wait. */
static void
on_others_event(struct v2 *v2, const struct v2_answer *event)
{
	/* A key that is created though the last one's end was not told of is in another store. */
	if (v2_was_taken_away(event) || (is(event, "create") && !v2->changed_hands))
		v2->vanished = clock_now();
	if (is_end(event)) {
		v2->changed_hands = true;
		v2_report(v2,
		    (struct report){ .kind = REPORT_VANISHED,
			.how = is(event, "compareAndDelete") ? VANISH_RELEASED : VANISH_UNKNOWN });
		return;
	}
	/* Somebody else's by now, or renewed by a holder of 1.x. */
	if (event->node.directory) {
		v2_want_read(v2);
	} else {
		v2->changed_hands = false;
		v2_report_place(v2, event->node.value);
	}
	v2->poll_wanted = true;
}

static void
on_event(struct v2 *v2, const struct v2_answer *event)
{
	backoff_reset(&v2->backoff);
	if (v2->created != 0 && event->node.modified > v2->modified) {
		v2_lost(v2, is_end(event) ? NULL : &event->node);
		return;
	}
	v2->known = event->node.modified;
	if (v2->created == 0)
		on_others_event(v2, event);
	else
		v2->poll_wanted = true;
}

static void
on_failed(struct v2 *v2, const struct verdict *verdict)
{
	struct endpoint *endpoint = verdict->endpoint;

	log_msg(&v2->session->log, LEVEL_DEBUG, "wait: %s: %s", endpoint->name, verdict->text);
	if (verdict->kind != VERDICT_UNAUTHENTICATED && verdict->kind != VERDICT_TOKEN)
		endpoints_failed(v2->session->endpoints, endpoint);
	/* What comes back might be another store, in which a poll for an event of the future is silent. */
	v2_want_read(v2);
	poll_after(v2, backoff_next(&v2->backoff));
}

static void
on_done(void *arg, const struct verdict *verdict)
{
	struct v2 *v2 = arg;

	v2_wake(v2);
	if (v2->goal == GOAL_NONE)
		return;
	if (verdict->kind == VERDICT_OK) {
		on_event(v2, &verdict->v2);
	} else if (verdict->kind == VERDICT_OUTDATED) {
		/* What there is now a look tells, but not who came and went meanwhile. */
		v2->known = verdict->v2.index;
		if (v2->created == 0)
			v2->vanished = clock_now();
		v2_want_read(v2);
		poll_after(v2, backoff_next(&v2->backoff));
	} else {
		on_failed(v2, verdict);
	}
}

void
v2_wait_advance(struct v2 *v2)
{
	char *path;
	/* On a connection of its own, for it takes as long as it takes. */
	struct attempt_spec spec = { .api = ETCD_V2,
		.method = "GET",
		.endpoint = endpoints_current(v2->session->endpoints),
		.once = true,
		.max_body = WAIT_MAX_BODY,
		.on_done = on_done,
		.arg = v2 };

	if (!v2->following)
		poll_stop(v2);
	if (!v2->poll_wanted || !v2->following)
		return;
	v2->poll_wanted = false;
	poll_stop(v2);
	path = v2_encode_wait(v2->contender->key, v2->known + 1);
	spec.path = path;
	if (path == NULL || attempt_start(&v2->wait, v2->session, &spec) == -1)
		poll_after(v2, backoff_next(&v2->backoff));
	free(path);
}

static void
on_again(void *arg)
{
	struct v2 *v2 = arg;

	v2->poll_wanted = true;
	v2_wake(v2);
}

void
v2_wait_stop(struct v2 *v2)
{
	poll_stop(v2);
	v2->following = v2->poll_wanted = false;
}

void
v2_wait_init(struct v2 *v2)
{
	v2->backoff = (struct backoff){ .first = 50 * NSEC_PER_MSEC, .cap = NSEC_PER_SEC };
	timer_init(&v2->again, on_again, v2);
}
