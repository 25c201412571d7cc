/* What moves a lock: reports, timers and the user become events of its table. */
#include "lock/lock.h"

#include "base/duration.h"
#include "lock/lease.h"
#include "lock/lock_act.h"
#include "lock/lock_news.h"
#include "lock/lock_term.h"
#include "lock/lock_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REJOIN_FIRST (100 * NSEC_PER_MSEC)
#define REJOIN_CAP (5 * NSEC_PER_SEC)

/* A timer that comes later than this is worth a line: the machine starves us. */
#define LATE_NEWS (20 * NSEC_PER_MSEC)

static const char *const state_names[ETCDLOCK_STATES] = {
	[ETCDLOCK_IDLE] = "IDLE",
	[ETCDLOCK_GRANTING] = "GRANTING",
	[ETCDLOCK_CONTENDING] = "CONTENDING",
	[ETCDLOCK_WAITING] = "WAITING",
	[ETCDLOCK_HELD] = "HELD",
	[ETCDLOCK_DOUBTFUL] = "DOUBTFUL",
	[ETCDLOCK_RELEASING] = "RELEASING",
	[ETCDLOCK_LOST] = "LOST",
};

const char *
etcdlock_state_name(enum etcdlock_state state)
{
	return state_names[state];
}

/* The only function that sets a state. REPORT is what EVENT comes from; NULL: it comes from none. */
static void
handle(struct etcdlock *lock, enum lock_event event, const struct report *report)
{
	struct lock_step step = lock_states_step(lock->state, event);

	lock->before = lock->state;
	if (step.next != lock->state) {
		log_msg(&lock->client->session->log, LEVEL_DEBUG, "lock: %s -> %s", state_names[lock->state],
		    state_names[step.next]);
		lock->state = step.next;
		lock_post(lock, ETCDLOCK_STATE);
	}
	lock_perform(lock, step.action, report);
}

/* In the queue, or on the way there. */
static bool
is_acquiring(const struct etcdlock *lock)
{
	return lock->state == ETCDLOCK_GRANTING || lock->state == ETCDLOCK_CONTENDING ||
	    lock->state == ETCDLOCK_WAITING;
}

/* --- reports --- */

/* Takes note of who holds the lock, and tells the user where that is news. */
static void
note_queue(struct etcdlock *lock, struct place *place)
{
	const char *holder = place->holder == NULL ? "" : place->holder;
	bool joined = lock->state == ETCDLOCK_CONTENDING;
	bool news = joined || place->ahead != lock->ahead || place->far != lock->far || lock->holder == NULL ||
	    strcmp(lock->holder, holder) != 0;

	/* What was before we came we cannot know. */
	if (joined)
		lock->sole_since = 0;
	else if (place->ahead != lock->ahead || lock->far)
		lock->sole_since = clock_now();
	lock->ahead = place->ahead;
	lock->far = place->far;
	if (!news || place->ahead == 0)
		return;
	free(lock->holder);
	free(lock->holder_key);
	lock->holder = strdup(holder);
	lock->holder_key = place->holder_key;
	place->holder_key = NULL;
	lock_post(lock, ETCDLOCK_QUEUE);
}

/* Nobody is ahead of us, says PLACE. When the lock delay is over, for all that might have a command that is dying. */
static nsec
clear_at(struct etcdlock *lock, const struct place *place, nsec now)
{
	nsec since;

	/* The one ahead of us went, and the watch has not told how: it still may. */
	if (lock->succession == SUCCESSION_WAITING && !place->told) {
		lock->succession = SUCCESSION_VANISHED;
		lock->gone = now;
	}
	if (lock->vanished < place->vanished)
		lock->vanished = place->vanished;
	since = lock->vanished;
	if (lock->succession == SUCCESSION_VANISHED && since < lock->gone)
		since = lock->gone;
	return since == 0 ? 0 : clock_add(since, lock->contender.timing.delay_ms * NSEC_PER_MSEC);
}

/* Nobody is ahead of us. Start, unless the lock delay or a worn lease forbid it. */
static enum lock_event
our_turn(struct etcdlock *lock, const struct place *place)
{
	nsec now = clock_now(), refresh = term_refresh_at(lock, &place->term);

	lock->clear = clear_at(lock, place, now);
	if (now < lock->clear)
		return lock->contender.timing.wait_ms == 0 ? LOCK_CONFLICT : LOCK_FIRST_EARLY;
	/* Starting with half of the renewal window gone would be starting to lose. */
	if (now > refresh + (term_expiring_at(lock, &place->term) - refresh) / 2)
		return LOCK_FIRST_WORN;
	return LOCK_FIRST;
}

static void
on_placed(struct etcdlock *lock, struct report *report)
{
	struct place *place = &report->place;

	/* The lock is ours, and our key is there; or the place was given up meanwhile. */
	if (!is_acquiring(lock))
		return;
	timer_disarm(lock->client->session->loop, &lock->connect);
	lock_clear_trouble(lock);
	note_queue(lock, place);
	if (place->ahead == 0) {
		handle(lock, our_turn(lock, place), report);
		return;
	}
	lock->succession = SUCCESSION_WAITING;
	handle(lock, lock->contender.timing.wait_ms == 0 ? LOCK_CONFLICT : LOCK_BEHIND, report);
}

static void
on_vanished(struct etcdlock *lock, const struct report *report)
{
	nsec delay = lock->contender.timing.delay_ms * NSEC_PER_MSEC;

	if (lock->state != ETCDLOCK_WAITING)
		return;
	/* A mute predecessor says nothing of the contender ahead of it, whose delay must be over. */
	if (report->how == VANISH_RELEASED ||
	    (report->how == VANISH_MUTE && lock->ahead == 1 && !lock->far &&
		clock_now() >= clock_add(lock->sole_since, delay))) {
		lock->succession = SUCCESSION_CLEAN;
		timer_disarm(lock->client->session->loop, &lock->again);
	}
	/* Else the delay counts from the look that shows nobody ahead of us: others than this one might have gone
	 * since.
	 */
	handle(lock, LOCK_AHEAD_GONE, report);
}

static void
on_trouble(struct etcdlock *lock, const struct report *report)
{
	lock_set_trouble(lock, strdup(report_text(report)));
	lock->answered = report->answered;
	handle(lock, report->hopeless ? LOCK_HOPELESS : LOCK_TROUBLE, report);
}

static void
on_report(struct etcdlock *lock, struct report *report)
{
	switch (report->kind) {
	case REPORT_GRANTED:
		handle(lock, LOCK_GRANTED, report);
		break;
	case REPORT_PLACED:
		on_placed(lock, report);
		break;
	case REPORT_RENEWED:
		handle(lock, LOCK_RENEWED, report);
		break;
	case REPORT_EXPOSED:
		handle(lock, LOCK_EXPOSED, report);
		break;
	case REPORT_VANISHED:
		on_vanished(lock, report);
		break;
	case REPORT_KEY_GONE:
		handle(lock, LOCK_KEY_GONE, report);
		break;
	case REPORT_TROUBLE:
		on_trouble(lock, report);
		break;
	case REPORT_REFUSED:
		handle(lock, LOCK_REFUSED, report);
		break;
	case REPORT_NO_MEMORY:
		handle(lock, LOCK_NO_MEMORY, report);
		break;
	case REPORT_GIVEN:
		lock->given = true;
		break;
	case REPORT_RELEASED:
		handle(lock, LOCK_RELEASED, report);
		break;
	}
}

/* Nothing else is on the stack. */
static void
on_reports(void *arg)
{
	struct etcdlock *lock = arg;
	struct report report;

	while (lock_events_next(&lock->events, &report)) {
		if (report.generation == lock->contender.generation)
			on_report(lock, &report);
		report_free(&report);
	}
	if (!TAILQ_EMPTY(&lock->events.results))
		loop_event_activate(lock->deliver);
}

/* --- timers --- */

static void
on_again(void *arg)
{
	handle(arg, LOCK_AGAIN, NULL);
}

static void
on_connect_limit(void *arg)
{
	handle(arg, LOCK_UNREACHABLE, NULL);
}

static void
on_wait_limit(void *arg)
{
	struct etcdlock *lock = arg;

	handle(lock, lock->state == ETCDLOCK_WAITING && lock->trouble == NULL ? LOCK_CONFLICT : LOCK_WAIT_OVER, NULL);
}

static void
on_refresh(void *arg)
{
	struct etcdlock *lock = arg;
	nsec late = clock_now() - lock->refresh.at;
	char span[DURATION_TEXT], margin[DURATION_TEXT];

	lock->renewing = lock->refresh.at;
	/* The margin has to cover such delays as well. */
	if (late > LATE_NEWS)
		log_msg(&lock->client->session->log, LEVEL_DEBUG, "woken up %s too late; the margin is %s",
		    duration_text(late, span),
		    duration_text(lease_margin(lock->contender.timing.ttl_s * NSEC_PER_SEC), margin));
	handle(lock, LOCK_REFRESH_DUE, NULL);
}

static void
on_expiring(void *arg)
{
	struct etcdlock *lock = arg;
	nsec left = term_left_to_expiring(lock);

	if (left > 0)
		timer_arm(lock->client->session->loop, &lock->expiring, clock_check_at(left));
	else
		handle(lock, LOCK_EXPIRING, NULL);
}

static void
on_expired(void *arg)
{
	struct etcdlock *lock = arg;

	if (!lock_check_expired(lock))
		timer_arm(lock->client->session->loop, &lock->expired, clock_check_at(term_left(lock)));
}

static void
on_release_limit(void *arg)
{
	handle(arg, LOCK_RELEASE_OVER, NULL);
}

bool
lock_check_expired(struct etcdlock *lock)
{
	if (!lock_owned(lock) || term_left(lock) > 0)
		return false;
	handle(lock, LOCK_EXPIRED, NULL);
	return true;
}

/* --- the user --- */

void
lock_want(struct etcdlock *lock, enum lock_event event)
{
	handle(lock, event, NULL);
}

int
lock_reclaim(struct etcdlock *lock, const char *owner_key, int64_t create_revision, bool held)
{
	lock->contender.generation++;
	if (lock->ops->reclaim(lock->protocol, owner_key, create_revision, held) == -1)
		return -1;
	handle(lock, LOCK_RECLAIMED, NULL);
	return 0;
}

void
lock_timing_changed(struct etcdlock *lock)
{
	const struct timing *timing = &lock->contender.timing;

	/* Not to wait at all is dealt with when our place is known. */
	if (lock->state == ETCDLOCK_WAITING || (is_acquiring(lock) && timing->wait_ms != 0))
		timer_arm(lock->client->session->loop, &lock->wait,
		    timing->wait_ms < 0 ? NSEC_NEVER : clock_add(lock->began, timing->wait_ms * NSEC_PER_MSEC));
	else
		timer_disarm(lock->client->session->loop, &lock->wait);
	if (!lock_owned(lock))
		return;
	lock_count(lock, &lock->term);
	lock->ops->renew(lock->protocol, true);
}

/* --- set-up --- */

int
lock_init(struct etcdlock *lock, const struct protocol *ops)
{
	struct contender *contender = &lock->contender;

	contender->session = lock->client->session;
	contender->key = lock->key;
	contender->id = lock->id;
	contender->events = &lock->events;
	lock->ops = ops;
	lock->ahead = -1;
	lock->rejoin = (struct backoff){ .first = REJOIN_FIRST, .cap = REJOIN_CAP };
	lock_events_init(&lock->events, lock->client->session->loop, on_reports, lock);
	timer_init(&lock->refresh, on_refresh, lock);
	timer_init(&lock->doubt, lock_say_doubt, lock);
	timer_init(&lock->expiring, on_expiring, lock);
	timer_init(&lock->expired, on_expired, lock);
	timer_init(&lock->wait, on_wait_limit, lock);
	timer_init(&lock->connect, on_connect_limit, lock);
	timer_init(&lock->again, on_again, lock);
	timer_init(&lock->release, on_release_limit, lock);
	lock->protocol = ops->new (contender);
	return lock->protocol == NULL ? -1 : 0;
}

void
lock_clear(struct etcdlock *lock)
{
	if (lock->ops == NULL)
		return;
	lock_stop_timers(lock);
	if (lock->protocol != NULL)
		lock->ops->free(lock->protocol);
	lock_events_clear(&lock->events);
	lock_clear_error(lock);
	lock_clear_trouble(lock);
}
