/* The watch on our own key and on the one ahead of us, reopened from where it was when it breaks. */
#include "lock/v3/v3_struct.h"

#include "base/duration.h"

#include <stdlib.h>
#include <string.h>

/* The period of looks that stand in for a watch. */
#define POLL_SHORTEST (100 * NSEC_PER_MSEC)
#define POLL_LONGEST (2 * NSEC_PER_SEC)

/* Where looks are answered and watches are not for so long, that is said. */
#define SILENCE (2500 * NSEC_PER_MSEC)

static void
watch_close(struct v3 *v3)
{
	watcher_close(&v3->watch.watcher);
	timer_disarm(v3->session->loop, &v3->watch.retry);
}

/* How often to look while no watch is confirmed: the holder so often that, when its key has gone, its command is dead
 * before the next holder has waited for the lock delay; the next in line often enough to follow soon. 0: all others,
 * who look whenever they renew. */
static nsec
poll_period(const struct v3 *v3)
{
	nsec period = v3->contender->timing.delay_ms * NSEC_PER_MSEC / 2;

	if (v3->goal != GOAL_HOLD)
		return v3->ahead <= 1 ? POLL_LONGEST : 0;
	if (period < POLL_SHORTEST)
		return POLL_SHORTEST;
	return period > POLL_LONGEST ? POLL_LONGEST : period;
}

static void
watch_poll(struct v3 *v3)
{
	nsec period = poll_period(v3);

	timer_arm(v3->session->loop, &v3->watch.poll, period == 0 ? NSEC_NEVER : clock_now() + period);
}

/* True where etcd has confirmed all watches that are wanted. */
static bool
is_confirmed(const struct v3 *v3)
{
	return v3->watch.watcher.stream != NULL && v3->watch.asked > 0 && v3->watch.confirmed >= v3->watch.asked;
}

static void
on_poll(void *arg)
{
	struct v3 *v3 = arg;

	if (!v3->watch.wanted || is_confirmed(v3))
		return;
	v3_want_look(v3);
	watch_poll(v3);
}

void
v3_watch_looked(struct v3 *v3)
{
	struct v3_watch *watch = &v3->watch;
	nsec now = clock_now();
	char span[DURATION_TEXT];

	if (!watch->wanted || is_confirmed(v3)) {
		watch->polled = 0;
		return;
	}
	if (watch->polled == 0)
		watch->polled = now;
	if (watch->silence_said || now < watch->polled + SILENCE)
		return;
	watch->silence_said = true;
	log_msg(&v3->session->log, LEVEL_NOTICE,
	    "etcd answers, but its watches do not come through (a proxy that buffers answers? nginx: proxy_buffering off): "
	    "looking every %s instead",
	    duration_text(poll_period(v3) == 0 ? POLL_LONGEST : poll_period(v3), span));
}

static void
retry_after(struct v3 *v3, nsec delay)
{
	v3->watch.broken = true;
	watch_close(v3);
	if (v3->watch.wanted && !timer_armed(&v3->watch.poll))
		watch_poll(v3);
	timer_arm(v3->session->loop, &v3->watch.retry, clock_add(clock_now(), delay));
}

/* The stream is over: that was said once, for all that had it. */
static void
on_failed(void *arg, const char *why)
{
	struct v3 *v3 = arg;

	(void)why;
	retry_after(v3, backoff_next(&v3->watch.backoff));
}

/* This watch is of no use as it is, because of WHY. */
static void
give_up(struct v3 *v3, const char *why)
{
	log_msg(&v3->session->log, LEVEL_DEBUG, "watch: %s", why);
	v3->watch.reopen = true;
	v3->watch.reopen_delay = backoff_next(&v3->watch.backoff);
	v3_wake(v3);
}

static void
on_own_event(struct v3 *v3, const struct v3_event *event)
{
	/* What our own transactions did, whose answers have come already. */
	if (event->kv.mod_revision <= v3->mod_revision)
		return;
	if (event->deleted)
		v3_lost_key(v3, NULL);
	else if (!v3_is_ours(v3, &event->kv))
		v3_lost_key(v3, &event->kv);
}

static void
report_vanished(struct v3 *v3, enum vanish how)
{
	v3_report(v3, (struct report){ .kind = REPORT_VANISHED, .how = how });
}

static void
on_predecessor_event(struct v3 *v3, const struct v3_event *event)
{
	const struct v3_kv *last = event->deleted ? &event->before : &event->kv;

	v3->unsure = v3->unsure || event->deleted;
	if (last->key != NULL && v3_kv_released(last)) {
		/* Only who held the lock marks its key, and ahead of that one there was nobody. What was read before
		 * that says nothing of our key after it. */
		v3->first = v3->outdated = true;
		v3_queue_free(&v3->seen);
		report_vanished(v3, VANISH_RELEASED);
	} else if (event->deleted)
		report_vanished(v3, last->key != NULL && last->value_len == 0 ? VANISH_MUTE : VANISH_UNKNOWN);
}

static void
on_event(struct v3 *v3, const struct v3_event *event)
{
	const char *predecessor = v3->watch.predecessor;

	if (v3->names.key != NULL && strcmp(event->kv.key, v3->names.key) == 0)
		on_own_event(v3, event);
	else if (predecessor != NULL && strcmp(event->kv.key, predecessor) == 0)
		on_predecessor_event(v3, event);
}

static void
on_events(struct v3 *v3, const json_t *object, const struct v3_watch_message *message)
{
	bool own = false;
	int64_t *seen;

	for (size_t i = 0; i < message->events; i++) {
		struct v3_event event;
		const char *wrong = v3_decode_event(object, i, &event);

		if (wrong != NULL) {
			give_up(v3, wrong);
			return;
		}
		/* Some versions send what is older than the start. */
		own = v3->names.key != NULL && strcmp(event.kv.key, v3->names.key) == 0;
		if (event.kv.mod_revision >= (own ? v3->watch.own_start : v3->watch.ahead_start))
			on_event(v3, &event);
		v3_event_free(&event);
		if (v3->goal == GOAL_NONE)
			return; /* the event has ended what we watch for */
	}
	/* One watch might be behind the other. */
	seen = own ? &v3->seen_own : &v3->seen_ahead;
	if (message->events > 0 && message->revision > *seen)
		*seen = message->revision;
}

/* A watch that was broken goes on from where it was, if the store is the same; and one at a revision that the store has
 * not reached is silent. Only a look tells. */
static void
on_created(struct v3 *v3, const json_t *object)
{
	struct v3_watch *watch = &v3->watch;
	struct v3_header header;

	backoff_reset(&watch->backoff);
	if (v3_decode_header(object, &header) == NULL) {
		if (header.cluster != 0 && v3->cluster != 0 && header.cluster != v3->cluster) {
			/* What is true is asked for through the quorum. */
			give_up(v3, "it is of another cluster");
			v3_want_look(v3);
			return;
		}
		if (header.revision < v3->revision)
			watch->broken = true;
	}
	if (++watch->confirmed < watch->asked)
		return;
	watch->polled = 0;
	if (watch->broken && (v3->goal == GOAL_HOLD || v3->ahead <= 1))
		v3_want_look(v3);
	watch->broken = false;
}

static void
on_message(void *arg, const json_t *object)
{
	struct v3 *v3 = arg;
	struct v3_watch_message message;
	const char *wrong = v3_decode_watch(object, &message);

	/* What has ended, or is to be opened again, tells nothing. */
	if (v3->goal == GOAL_NONE || v3->watch.reopen)
		return;
	if (wrong == NULL && message.compact_revision > 0) {
		/* What happened before it is not told any more: look. */
		v3->seen_own = v3->seen_ahead = message.compact_revision - 1;
		v3_want_look(v3);
	}
	if (wrong == NULL)
		wrong = message.ended;
	if (wrong != NULL) {
		give_up(v3, wrong);
		return;
	}
	if (message.created)
		on_created(v3, object);
	on_events(v3, object, &message);
}

static size_t
encode(void *arg, char *requests[WATCHER_WATCHES])
{
	struct v3 *v3 = arg;
	struct v3_watch *watch = &v3->watch;

	watch->confirmed = 0;
	watch->asked = watch->predecessor == NULL ? 1 : 2;
	watch->own_start = v3->seen_own + 1;
	watch->ahead_start = v3->seen_ahead + 1;
	requests[0] = v3_encode_watch(v3->names.key, watch->own_start, false);
	if (requests[0] == NULL || watch->predecessor == NULL)
		return requests[0] != NULL;
	/* Only the value that a deleted key had tells a release from an expiry. */
	requests[1] = v3_encode_watch(watch->predecessor, watch->ahead_start, true);
	if (requests[1] != NULL)
		return 2;
	free(requests[0]);
	return 0;
}

static void
watch_open(struct v3 *v3)
{
	watch_close(v3);
	watcher_open(v3->session->watch_streams, &v3->watch.watcher);
}

static void
on_retry(void *arg)
{
	watch_open(arg);
}

static bool
same_key(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Opens the watch on our own key and the one ahead of us, unless it is open. */
static void
follow(struct v3 *v3)
{
	struct v3_watch *watch = &v3->watch;

	watch->asked_for = false;
	if (watch->wanted && same_key(watch->predecessor, v3->predecessor))
		return;
	watch_close(v3);
	free(watch->predecessor);
	watch->predecessor = v3->predecessor == NULL ? NULL : strdup(v3->predecessor);
	if (v3->predecessor != NULL && watch->predecessor == NULL) {
		v3_report(v3, (struct report){ .kind = REPORT_NO_MEMORY });
		return;
	}
	watch->wanted = true;
	watch->broken = watch->reopen = false;
	watch_open(v3);
	watch_poll(v3);
}

void
v3_watch_advance(struct v3 *v3)
{
	struct v3_watch *watch = &v3->watch;

	if (watch->asked_for)
		follow(v3);
	if (watch->reopen && watch->wanted)
		retry_after(v3, watch->reopen_delay);
	watch->reopen = false;
}

void
v3_watch_stop(struct v3 *v3)
{
	watch_close(v3);
	free(v3->watch.predecessor);
	v3->watch.predecessor = NULL;
	v3->watch.wanted = v3->watch.asked_for = v3->watch.reopen = false;
	v3->watch.polled = 0;
	timer_disarm(v3->session->loop, &v3->watch.poll);
}

void
v3_watch_init(struct v3 *v3)
{
	struct v3_watch *watch = &v3->watch;

	watch->backoff = (struct backoff){ .first = 50 * NSEC_PER_MSEC, .cap = NSEC_PER_SEC };
	watch->watcher =
	    (struct watcher){ .encode = encode, .on_message = on_message, .on_failed = on_failed, .arg = v3 };
	timer_init(&watch->retry, on_retry, v3);
	timer_init(&watch->poll, on_poll, v3);
}
