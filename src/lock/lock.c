/* The state machine of a lock. HACKING has its table. */
#include "lock/lock.h"

#include "base/duration.h"
#include "base/random.h"
#include "lock/lock_term.h"
#include "lock/lock_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long to try to give back what we have. */
#define RELEASE_LIMIT (5 * NSEC_PER_SEC)
#define RELEASE_LIMIT_BRIEF NSEC_PER_SEC

/* After a request that memory was too short for. */
#define STUMBLE_PAUSE (100 * NSEC_PER_MSEC)

/* A timer that comes later than this is worth a line: the machine starves us. */
#define LATE_NEWS (20 * NSEC_PER_MSEC)

/* Renewals that fail for so long are worth a line; one endpoint that does not answer is not. */
#define DOUBT_NEWS (2 * NSEC_PER_SEC)

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

void
lock_set_state(struct etcdlock *lock, enum etcdlock_state state)
{
	if (state == lock->state)
		return;
	log_msg(&lock->client->log, LEVEL_DEBUG, "lock: %s -> %s", state_names[lock->state], state_names[state]);
	lock->state = state;
	lock_post(lock, ETCDLOCK_STATE);
}

bool
lock_owned(const struct etcdlock *lock)
{
	return lock->state == ETCDLOCK_HELD || lock->state == ETCDLOCK_DOUBTFUL;
}

/* In the queue, or on the way there. */
static bool
is_acquiring(const struct etcdlock *lock)
{
	return lock->state == ETCDLOCK_GRANTING || lock->state == ETCDLOCK_CONTENDING ||
	    lock->state == ETCDLOCK_WAITING;
}

static void
arm(struct etcdlock *lock, struct timer *timer, nsec at)
{
	timer_arm(lock->client->loop, timer, at);
}

void
lock_timers_stop(struct etcdlock *lock)
{
	struct timer *const timers[] = { &lock->refresh, &lock->doubt, &lock->expiring, &lock->expired, &lock->wait,
		&lock->connect, &lock->again, &lock->release };

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		timer_disarm(lock->client->loop, timers[i]);
}

/* Plans the next renewal. Many locks of one process, which may have started together, are not renewed together: a
 * little early, each time by another part of the period, and the first time anywhere in its second half. */
static void
arm_refresh(struct etcdlock *lock, const struct lease_term *term)
{
	nsec at = term_refresh_at(lock, term), room = at - term->sent.boot;

	if (lock->client->locks > 1 && room > 0)
		at -= (nsec)(random_uint64() % (uint64_t)(room / (lock->spread ? 16 : 2) + 1));
	lock->spread = true;
	arm(lock, &lock->refresh, at);
}

/* --- not acquired --- */

/* When the lease of a lock that was held ends by itself. */
static nsec
lease_end(const struct etcdlock *lock)
{
	return clock_add(lock->term.sent.boot, lock->term.ttl);
}

static void
lock_leave(struct etcdlock *lock, bool held)
{
	/* A lease that has run out frees the lock by itself, and who has not answered for long will hardly start to
	 * now. */
	bool worth_it = held ? lock->state != ETCDLOCK_LOST && !lock->expiring_said : lock->trouble[0] == '\0';
	nsec limit = clock_now() + (worth_it ? RELEASE_LIMIT : RELEASE_LIMIT_BRIEF);

	lock_timers_stop(lock);
	lock_set_state(lock, ETCDLOCK_RELEASING);
	lock->given = false;
	arm(lock, &lock->release, held && lease_end(lock) < limit ? lease_end(lock) : limit);
	lock->ops->leave(lock->backend, held);
}

void
lock_given(struct etcdlock *lock)
{
	lock->given = true;
}

static void
lock_fail(struct etcdlock *lock, enum etcdlock_failure failure)
{
	lock->failure = failure;
	lock->refused = true;
	lock_leave(lock, false);
}

static void
on_connect_limit(void *arg)
{
	struct etcdlock *lock = arg;

	lock_say_unreachable(lock);
	lock_fail(lock, ETCDLOCK_FAILURE_UNREACHABLE);
}

static void
lock_conflict(struct etcdlock *lock)
{
	lock_say_conflict(lock);
	lock_fail(lock, ETCDLOCK_FAILURE_CONFLICT);
}

static void
on_wait_limit(void *arg)
{
	struct etcdlock *lock = arg;
	char span[DURATION_TEXT];

	if (lock->state == ETCDLOCK_WAITING && lock->trouble[0] == '\0') {
		lock_conflict(lock);
		return;
	}
	snprintf(lock->error, sizeof(lock->error), "%s after %s%s%s",
	    lock->state == ETCDLOCK_WAITING ? "no word from etcd" : "not in the queue",
	    duration_text(lock->timing.wait_ms * NSEC_PER_MSEC, span), lock->trouble[0] ? ": " : "", lock->trouble);
	lock_fail(lock, ETCDLOCK_FAILURE_UNREACHABLE);
}

void
lock_refused(struct etcdlock *lock, const char *text)
{
	snprintf(lock->error, sizeof(lock->error), "%s", text);
	lock_fail(lock, ETCDLOCK_FAILURE_REFUSED);
}

void
lock_stumbled(struct etcdlock *lock)
{
	if (lock_owned(lock)) {
		snprintf(lock->trouble, sizeof(lock->trouble), "no memory for a request");
		arm(lock, &lock->refresh, clock_now() + STUMBLE_PAUSE);
	} else if (is_acquiring(lock)) {
		snprintf(lock->error, sizeof(lock->error), "no memory for a request");
		lock_fail(lock, ETCDLOCK_FAILURE_MEMORY);
	}
}

/* --- in the queue --- */

static void
lock_join(struct etcdlock *lock)
{
	lock_set_state(lock, ETCDLOCK_GRANTING);
	lock->ops->join(lock->backend);
}

void
lock_begin(struct etcdlock *lock)
{
	nsec now = clock_now();

	lock->failure = ETCDLOCK_FAILURE_NONE;
	lock->error[0] = lock->trouble[0] = '\0';
	lock->refused = lock->spread = lock->lost = false;
	lock->term = (struct lease_term){ 0 };
	lock_forget_news(lock);
	lock->began = now;
	lock->succession = SUCCESSION_NONE;
	lock->ahead = -1;
	backoff_reset(&lock->rejoin);
	arm(lock, &lock->connect, now + lock->timing.connect_ms * NSEC_PER_MSEC);
	if (lock->timing.wait_ms > 0)
		arm(lock, &lock->wait, now + lock->timing.wait_ms * NSEC_PER_MSEC);
	lock_join(lock);
}

void
lock_granted(struct etcdlock *lock)
{
	lock_set_state(lock, ETCDLOCK_CONTENDING);
}

/* Count the lease of a held lock from TERM. */
static void
count_term(struct etcdlock *lock, const struct lease_term *term)
{
	lock->term = *term;
	lock->deadline = term_deadline(term);
	arm(lock, &lock->expired, clock_check_at(term_left(lock)));
	if (!lock->expiring_said)
		arm(lock, &lock->expiring, clock_check_at(term_left_to_expiring(lock)));
	arm_refresh(lock, term);
}

static void
lock_acquire(struct etcdlock *lock, const struct place *place)
{
	lock_timers_stop(lock);
	lock->expiring_said = lock->doubt_said = false;
	lock->revision = place->revision;
	lock->ahead = 0;
	lock_set_state(lock, ETCDLOCK_HELD);
	count_term(lock, &place->term);
	lock_post(lock, ETCDLOCK_ACQUIRED);
	/* The watch can wait for the user's start: it tells what has happened since the look. */
	arm(lock, &lock->again, clock_now());
}

/* We are in the queue and not the holder. The first time, plan the first renewal. */
static void
lock_settle(struct etcdlock *lock, const struct place *place)
{
	if (lock->state == ETCDLOCK_WAITING)
		return;
	lock_set_state(lock, ETCDLOCK_WAITING);
	arm_refresh(lock, &place->term);
}

/* Nobody is ahead of us. Start, unless the lock delay or a worn lease forbid it. */
static void
lock_our_turn(struct etcdlock *lock, const struct place *place)
{
	nsec now = clock_now(), refresh = term_refresh_at(lock, &place->term), start;

	/* The one ahead of us went, and the watch has not told how: it still may. */
	if (lock->succession == SUCCESSION_WAITING) {
		lock->succession = SUCCESSION_VANISHED;
		lock->vanished = now;
	}
	start = clock_add(lock->vanished, lock->timing.delay_ms * NSEC_PER_MSEC);
	if (lock->succession == SUCCESSION_VANISHED && now < start) {
		log_msg(
		    &lock->client->log, LEVEL_DEBUG, "the holder is gone without a word: waiting for the lock delay");
		if (lock->state != ETCDLOCK_WAITING)
			lock->ops->follow(lock->backend);
		lock_settle(lock, place);
		arm(lock, &lock->again, start);
	} else if (now > refresh + (term_expiring_at(lock, &place->term) - refresh) / 2) {
		/* Starting with half of the renewal window gone would be starting to lose. */
		lock_settle(lock, place);
		lock->ops->renew(lock->backend, true);
	} else {
		lock_acquire(lock, place);
	}
}

static void
lock_wait_behind(struct etcdlock *lock, const struct place *place)
{
	lock->succession = SUCCESSION_WAITING;
	lock_settle(lock, place);
	if (lock->timing.wait_ms == 0) {
		lock_conflict(lock);
		return;
	}
	lock->ops->follow(lock->backend);
	/* The next in line lives on first TTLs like a holder, so that it can start at once. */
	if (place->ahead == 1 && clock_now() >= term_refresh_at(lock, &place->term))
		lock->ops->renew(lock->backend, true);
}

/* Takes note of who holds the lock, and tells the user where that is news. */
static void
note_queue(struct etcdlock *lock, const struct place *place)
{
	const char *holder = place->holder == NULL ? "" : place->holder;
	bool joined = lock->state == ETCDLOCK_CONTENDING;
	bool news = joined || place->ahead != lock->ahead || lock->holder == NULL || strcmp(lock->holder, holder) != 0;

	/* What was before we came we cannot know. */
	if (joined)
		lock->sole_since = 0;
	else if (place->ahead != lock->ahead)
		lock->sole_since = clock_now();
	lock->ahead = place->ahead;
	if (!news || place->ahead == 0)
		return;
	free(lock->holder);
	free(lock->holder_key);
	lock->holder = strdup(holder);
	lock->holder_key = place->holder_key == NULL ? NULL : strdup(place->holder_key);
	lock_post(lock, ETCDLOCK_QUEUE);
}

void
lock_placed(struct etcdlock *lock, const struct place *place)
{
	if (lock_owned(lock)) {
		/* An older key than the holder's cannot come: the store is not the one that we locked in. */
		if (place->ahead > 0)
			lock_gone(lock, "an older contender has appeared in the queue");
		return;
	}
	/* An answer to somebody who has given up. */
	if (!is_acquiring(lock))
		return;
	timer_disarm(lock->client->loop, &lock->connect);
	lock->trouble[0] = '\0';
	note_queue(lock, place);
	if (place->ahead > 0)
		lock_wait_behind(lock, place);
	else
		lock_our_turn(lock, place);
}

void
lock_vanished(struct etcdlock *lock, enum vanish how)
{
	nsec delay = lock->timing.delay_ms * NSEC_PER_MSEC;

	if (lock->state != ETCDLOCK_WAITING)
		return;
	/* A mute one says nothing of who was ahead of it: that one's delay must be over. */
	if (how == VANISH_RELEASED ||
	    (how == VANISH_MUTE && lock->ahead == 1 && clock_now() >= clock_add(lock->sole_since, delay))) {
		lock->succession = SUCCESSION_CLEAN;
		timer_disarm(lock->client->loop, &lock->again);
	}
	/* Else the delay counts from the look that shows nobody ahead of us: others than this one may have gone since.
	 */
	lock->ops->look(lock->backend);
}

static void
on_again(void *arg)
{
	struct etcdlock *lock = arg;

	if (lock_owned(lock))
		lock->ops->follow(lock->backend);
	else if (lock->state == ETCDLOCK_WAITING)
		lock->ops->look(lock->backend);
	else
		lock_join(lock);
}

/* --- held --- */

static void
on_refresh(void *arg)
{
	struct etcdlock *lock = arg;
	nsec late = clock_now() - lock->refresh.at;

	lock->renewing = lock->refresh.at;
	char span[DURATION_TEXT], margin[DURATION_TEXT];

	/* The margin has to cover such delays as well. */
	if (late > LATE_NEWS)
		log_msg(&lock->client->log, LEVEL_DEBUG, "woken up %s too late; the margin is %s",
		    duration_text(late, span), duration_text(lease_margin(lock->timing.ttl_s * NSEC_PER_SEC), margin));
	lock->ops->renew(lock->backend, lock_owned(lock) || lock->ahead <= 1);
}

void
lock_renewed(struct etcdlock *lock, const struct lease_term *term)
{
	if (lock_owned(lock)) {
		if (lock->doubt_said)
			log_msg(&lock->client->log, LEVEL_NOTICE, "lock %.200s: renewed again", lock->key);
		timer_disarm(lock->client->loop, &lock->doubt);
		lock->expiring_said = lock->doubt_said = false;
		lock->error[0] = lock->trouble[0] = '\0';
		log_msg(&lock->client->log, LEVEL_DEBUG, "lock: renewed, %lld ms after that was due",
		    (long long)((clock_now() - lock->renewing) / NSEC_PER_MSEC));
		count_term(lock, term);
		lock_set_state(lock, ETCDLOCK_HELD);
		lock_post(lock, ETCDLOCK_RENEWED);
	} else if (lock->state == ETCDLOCK_WAITING) {
		arm_refresh(lock, term);
		/* The watch may have missed something (etcd before 3.4.36 could, at a compaction). */
		lock->ops->look(lock->backend);
	}
}

void
lock_trouble(struct etcdlock *lock, const struct call_trouble *trouble)
{
	snprintf(lock->trouble, sizeof(lock->trouble), "%s", trouble->text);
	lock->answered = trouble->answered;
	if (lock->state == ETCDLOCK_HELD) {
		nsec room = term_left_to_expiring(lock) / 2;

		lock_set_state(lock, ETCDLOCK_DOUBTFUL);
		arm(lock, &lock->doubt, clock_now() + (room < DOUBT_NEWS ? room : DOUBT_NEWS));
	} else if (trouble->hopeless && (lock->state == ETCDLOCK_GRANTING || lock->state == ETCDLOCK_CONTENDING))
		lock_refused(lock, trouble->text);
}

/* The lock is not ours any more. Whoever protects something with it must have stopped. */
static void
lock_lose(struct etcdlock *lock)
{
	lock_timers_stop(lock);
	lock->ops->stop(lock->backend);
	lock->deadline = 0;
	lock->lost = true;
	/* Of a lock that is lost nobody is to hear that it was acquired. */
	lock_forget_news(lock);
	lock_set_state(lock, ETCDLOCK_LOST);
	lock_post(lock, ETCDLOCK_DROPPED);
}

void
lock_gone(struct etcdlock *lock, const char *why)
{
	if (lock_owned(lock)) {
		snprintf(lock->error, sizeof(lock->error), "%s", why);
		lock_lose(lock);
	} else if (is_acquiring(lock)) {
		log_msg(&lock->client->log, LEVEL_NOTICE, "lost the place in the queue (%s), queueing again at its end",
		    why);
		lock->ops->stop(lock->backend);
		timer_disarm(lock->client->loop, &lock->refresh);
		/* Who was ahead may have gone unseen. */
		if (lock->succession != SUCCESSION_NONE) {
			lock->succession = SUCCESSION_VANISHED;
			lock->vanished = clock_now();
		}
		lock_set_state(lock, ETCDLOCK_GRANTING);
		arm(lock, &lock->again, clock_now() + backoff_next(&lock->rejoin));
	}
}

static void
on_expiring(void *arg)
{
	struct etcdlock *lock = arg;
	nsec left = term_left_to_expiring(lock);

	if (left > 0) {
		arm(lock, &lock->expiring, clock_check_at(left));
		return;
	}
	lock_say_not_renewed(lock);
	lock->expiring_said = true;
	lock_set_state(lock, ETCDLOCK_DOUBTFUL);
	lock_post(lock, ETCDLOCK_EXPIRING);
}

static void
on_expired(void *arg)
{
	struct etcdlock *lock = arg;

	if (!lock_check_expired(lock))
		arm(lock, &lock->expired, clock_check_at(term_left(lock)));
}

bool
lock_check_expired(struct etcdlock *lock)
{
	if (!lock_owned(lock) || term_left(lock) > 0)
		return false;
	lock_say_not_renewed(lock);
	lock_lose(lock);
	return true;
}

void
lock_timing_changed(struct etcdlock *lock)
{
	const struct timing *timing = &lock->timing;

	/* Not to wait at all is dealt with when our place is known. */
	if (lock->state == ETCDLOCK_WAITING || (is_acquiring(lock) && timing->wait_ms != 0))
		arm(lock, &lock->wait,
		    timing->wait_ms < 0 ? NSEC_NEVER : clock_add(lock->began, timing->wait_ms * NSEC_PER_MSEC));
	else
		timer_disarm(lock->client->loop, &lock->wait);
	if (!lock_owned(lock))
		return;
	count_term(lock, &lock->term);
	lock->ops->renew(lock->backend, true);
}

/* --- released --- */

void
lock_end(struct etcdlock *lock)
{
	lock->refused = false;
	lock_forget_news(lock);
	lock_leave(lock, lock_owned(lock) || lock->state == ETCDLOCK_LOST);
}

int
lock_reclaim(struct etcdlock *lock, const char *owner_key, int64_t create_revision, bool held)
{
	if (lock->ops->reclaim(lock->backend, owner_key, create_revision, held) == -1)
		return -1;
	lock->failure = ETCDLOCK_FAILURE_NONE;
	lock->error[0] = lock->trouble[0] = '\0';
	lock->refused = false;
	lock_set_state(lock, ETCDLOCK_RELEASING);
	arm(lock, &lock->release, clock_now() + RELEASE_LIMIT);
	return 0;
}

void
lock_left(struct etcdlock *lock)
{
	lock_timers_stop(lock);
	lock->ops->stop(lock->backend);
	lock->deadline = 0;
	/* Of a loss the reason stays. */
	if (lock->failure == ETCDLOCK_FAILURE_NONE && !lock->lost)
		lock->error[0] = '\0';
	lock_set_state(lock, ETCDLOCK_IDLE);
	lock_post(lock, lock->refused ? ETCDLOCK_REFUSED : ETCDLOCK_RELEASED);
}

static void
on_release_limit(void *arg)
{
	struct etcdlock *lock = arg;

	nsec left = lock->term.ttl == 0 ? lock->timing.ttl_s * NSEC_PER_SEC : lease_end(lock) - clock_now();

	if (!lock->refused && !lock->given && left > 0) {
		lock->failure = ETCDLOCK_FAILURE_UNREACHABLE;
		snprintf(lock->error, sizeof(lock->error), "not released, its lease ends by itself within %llds: %s",
		    (long long)((left + NSEC_PER_SEC - 1) / NSEC_PER_SEC), lock->trouble);
	}
	lock_left(lock);
}

void
lock_timers_init(struct etcdlock *lock)
{
	timer_init(&lock->refresh, on_refresh, lock);
	timer_init(&lock->doubt, lock_say_doubt, lock);
	timer_init(&lock->expiring, on_expiring, lock);
	timer_init(&lock->expired, on_expired, lock);
	timer_init(&lock->wait, on_wait_limit, lock);
	timer_init(&lock->connect, on_connect_limit, lock);
	timer_init(&lock->again, on_again, lock);
	timer_init(&lock->release, on_release_limit, lock);
}
