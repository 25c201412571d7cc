#include "lock/lock_act.h"

#include "base/random.h"
#include "lock/lock_news.h"
#include "lock/lock_term.h"
#include "lock/lock_words.h"

#include <stdio.h>
#include <string.h>

/* How long to try to give back what we have. */
#define RELEASE_LIMIT (5 * NSEC_PER_SEC)
#define RELEASE_LIMIT_BRIEF NSEC_PER_SEC

/* After a request that memory was too short for. */
#define STUMBLE_PAUSE (100 * NSEC_PER_MSEC)

/* Renewals that fail for so long are worth a line; one endpoint that does not answer is not. */
#define DOUBT_NEWS (2 * NSEC_PER_SEC)

static void
arm(struct etcdlock *lock, struct timer *timer, nsec at)
{
	timer_arm(lock->client->session->loop, timer, at);
}

void
lock_stop_timers(struct etcdlock *lock)
{
	struct timer *const timers[] = { &lock->refresh, &lock->doubt, &lock->expiring, &lock->expired, &lock->wait,
		&lock->connect, &lock->again, &lock->release };

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		arm(lock, timers[i], NSEC_NEVER);
}

/* What the protocol was to do is over: its reports of that mean nothing any more. */
static void
stop_protocol(struct etcdlock *lock)
{
	lock->contender.generation++;
	lock->ops->stop(lock->protocol);
}

/* --- in the queue --- */

static void
do_join(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock->contender.generation++;
	lock->ops->join(lock->protocol);
}

static void
do_begin(struct etcdlock *lock, const struct report *report)
{
	const struct timing *timing = &lock->contender.timing;
	nsec now = clock_now();

	lock->failure = ETCDLOCK_FAILURE_NONE;
	lock_clear_error(lock);
	lock_clear_trouble(lock);
	lock->refused = lock->spread = lock->contender.lost = false;
	lock->term = (struct lease_term){ 0 };
	lock_forget_news(lock);
	lock->began = now;
	lock->succession = SUCCESSION_NONE;
	lock->ahead = -1;
	lock->far = false;
	backoff_reset(&lock->rejoin);
	arm(lock, &lock->connect, now + timing->connect_ms * NSEC_PER_MSEC);
	if (timing->wait_ms > 0)
		arm(lock, &lock->wait, now + timing->wait_ms * NSEC_PER_MSEC);
	do_join(lock, report);
}

static void
do_rejoin(struct etcdlock *lock, const struct report *report)
{
	log_msg(&lock->client->session->log, LEVEL_NOTICE,
	    "lost the place in the queue (%s), queueing again at its end", report_text(report));
	stop_protocol(lock);
	arm(lock, &lock->refresh, NSEC_NEVER);
	/* Who was ahead of us might have gone with our place, unseen. */
	lock->succession = SUCCESSION_NONE;
	lock->vanished = clock_now();
	arm(lock, &lock->again, clock_now() + backoff_next(&lock->rejoin));
}

/* Plans the next renewal. Many locks of one process, which might have started together, are not renewed together: a
 * little early, each time by another part of the period, and the first time anywhere in its second half. */
static void
plan_refresh(struct etcdlock *lock, const struct lease_term *term)
{
	nsec at = term_refresh_at(lock, term), room = at - term->sent.boot;

	if (lock->client->locks > 1 && room > 0)
		at -= (nsec)(random_uint64() % (uint64_t)(room / (lock->spread ? 16 : 2) + 1));
	lock->spread = true;
	arm(lock, &lock->refresh, at);
}

/* The first time that we are in the queue and the lock is not ours, the first renewal is planned. */
static void
plan_first_refresh(struct etcdlock *lock, const struct report *report)
{
	if (lock->before != lock->state)
		plan_refresh(lock, &report->place.term);
}

static void
do_wait(struct etcdlock *lock, const struct report *report)
{
	const struct place *place = &report->place;

	plan_first_refresh(lock, report);
	lock->ops->follow(lock->protocol);
	/* The next in line lives on first TTLs like a holder, so that it can start at once. */
	if (place->ahead == 1 && clock_now() >= term_refresh_at(lock, &place->term))
		lock->ops->renew(lock->protocol, true);
}

static void
do_delay(struct etcdlock *lock, const struct report *report)
{
	log_msg(
	    &lock->client->session->log, LEVEL_DEBUG, "the holder is gone without a word: waiting for the lock delay");
	if (lock->before != lock->state)
		lock->ops->follow(lock->protocol);
	plan_first_refresh(lock, report);
	arm(lock, &lock->again, lock->clear);
}

static void
do_renew(struct etcdlock *lock, const struct report *report)
{
	bool firm = lock_owned(lock) || lock->ahead <= 1;

	if (report != NULL && report->kind == REPORT_PLACED)
		plan_first_refresh(lock, report);
	lock->ops->renew(lock->protocol, firm);
}

/* --- ours --- */

void
lock_count(struct etcdlock *lock, const struct lease_term *term)
{
	lock->term = *term;
	lock->contender.deadline = term_deadline(term);
	arm(lock, &lock->expired, clock_check_at(term_left(lock)));
	if (!lock->expiring_said)
		arm(lock, &lock->expiring, clock_check_at(term_left_to_expiring(lock)));
	plan_refresh(lock, term);
}

static void
do_acquire(struct etcdlock *lock, const struct report *report)
{
	lock_stop_timers(lock);
	lock->expiring_said = lock->doubt_said = false;
	lock->revision = report->place.revision;
	lock->ahead = 0;
	lock->far = false;
	lock_count(lock, &report->place.term);
	lock->ops->hold(lock->protocol);
	lock_post(lock, ETCDLOCK_ACQUIRED);
	/* The watch can wait for the user's start: it tells what has happened since the look. */
	arm(lock, &lock->again, clock_now());
}

static void
do_count(struct etcdlock *lock, const struct report *report)
{
	if (lock->doubt_said)
		log_msg(&lock->client->session->log, LEVEL_NOTICE, "lock %.200s: renewed again", lock->key);
	arm(lock, &lock->doubt, NSEC_NEVER);
	lock->expiring_said = lock->doubt_said = false;
	lock_clear_error(lock);
	lock_clear_trouble(lock);
	log_msg(&lock->client->session->log, LEVEL_DEBUG, "lock: renewed, %lld ms after that was due",
	    (long long)((clock_now() - lock->renewing) / NSEC_PER_MSEC));
	lock_count(lock, &report->place.term);
	lock_post(lock, ETCDLOCK_RENEWED);
}

/* The TTL was made shorter, and whether the change of it has worked might never be heard. */
static void
do_shorten(struct etcdlock *lock, const struct report *report)
{
	if (lease_left(&report->place.term) >= term_left(lock))
		return;
	lock_count(lock, &report->place.term);
	/* This is no all-clear. */
	if (!lock->expiring_said)
		lock_post(lock, ETCDLOCK_RENEWED);
}

static void
do_doubt(struct etcdlock *lock, const struct report *report)
{
	nsec room = term_left_to_expiring(lock) / 2;

	(void)report;
	arm(lock, &lock->doubt, clock_now() + (room < DOUBT_NEWS ? room : DOUBT_NEWS));
}

static void
do_warn(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock_say_not_renewed(lock);
	lock->expiring_said = true;
	lock_post(lock, ETCDLOCK_EXPIRING);
}

/* The lock is not ours any more: the protected work must have stopped. REPORT is NULL where the
 * deadline has passed. */
static void
do_lose(struct etcdlock *lock, const struct report *report)
{
	if (report == NULL)
		lock_say_not_renewed(lock);
	else
		lock_set_error(lock, strdup(report_text(report)));
	lock_stop_timers(lock);
	stop_protocol(lock);
	lock->contender.deadline = 0;
	lock->contender.lost = true;
	/* Of a lock that is lost nobody is to hear that it was acquired. */
	lock_forget_news(lock);
	lock_post(lock, ETCDLOCK_DROPPED);
}

/* --- released --- */

/* When the lease of a lock that was ours ends by itself. */
static nsec
lease_end(const struct etcdlock *lock)
{
	return clock_add(lock->term.sent.boot, lock->term.ttl);
}

/* HELD: the lock was ours, and its lease is counted. WORTH_IT: etcd has answered lately. */
static void
start_release(struct etcdlock *lock, bool held, bool worth_it)
{
	nsec limit = clock_now() + (worth_it ? RELEASE_LIMIT : RELEASE_LIMIT_BRIEF);

	lock_stop_timers(lock);
	lock->given = false;
	lock->contender.deadline = 0;
	arm(lock, &lock->release, held && lease_end(lock) < limit ? lease_end(lock) : limit);
	lock->contender.generation++;
	lock->ops->release(lock->protocol, held);
}

static void
do_release(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock->refused = false;
	lock_forget_news(lock);
	/* A lease that has run out frees the lock by itself. */
	start_release(lock, true, !lock->contender.lost && !lock->expiring_said);
}

/* An etcd that has not answered for long will hardly start to now. */
static void
give_up_place(struct etcdlock *lock)
{
	start_release(lock, false, lock->trouble == NULL);
}

static void
fail(struct etcdlock *lock, enum etcdlock_failure failure)
{
	lock->failure = failure;
	lock->refused = true;
	give_up_place(lock);
}

static void
do_fail_refused(struct etcdlock *lock, const struct report *report)
{
	lock_set_error(lock, strdup(report_text(report)));
	fail(lock, ETCDLOCK_FAILURE_REFUSED);
}

static void
do_fail_memory(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock_set_error(lock, strdup("no memory for a request"));
	fail(lock, ETCDLOCK_FAILURE_MEMORY);
}

static void
do_reclaim(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock->failure = ETCDLOCK_FAILURE_NONE;
	lock_clear_error(lock);
	lock_clear_trouble(lock);
	lock->refused = lock->given = false;
	arm(lock, &lock->release, clock_now() + RELEASE_LIMIT);
}

static void
do_end(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock_stop_timers(lock);
	stop_protocol(lock);
	/* Of a loss the reason stays. */
	if (lock->failure == ETCDLOCK_FAILURE_NONE && !lock->contender.lost)
		lock_clear_error(lock);
	lock_post(lock, lock->refused ? ETCDLOCK_REFUSED : ETCDLOCK_RELEASED);
}

static void
do_end_unreleased(struct etcdlock *lock, const struct report *report)
{
	nsec ttl = lock->contender.timing.ttl_s * NSEC_PER_SEC;
	nsec left = lock->term.ttl == 0 ? ttl : lease_end(lock) - clock_now();

	if (!lock->refused && !lock->given && left > 0) {
		lock->failure = ETCDLOCK_FAILURE_UNREACHABLE;
		lock_say_unreleased(lock, left);
	}
	do_end(lock, report);
}

static void
do_nothing(struct etcdlock *lock, const struct report *report)
{
	(void)lock;
	(void)report;
}

static void
do_follow(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock->ops->follow(lock->protocol);
}

static void
do_look(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock->ops->look(lock->protocol);
}

static void
do_plan(struct etcdlock *lock, const struct report *report)
{
	plan_refresh(lock, &report->place.term);
	/* The watch might have missed something (etcd before 3.4.36 could, at a compaction). */
	lock->ops->look(lock->protocol);
}

static void
do_renew_soon(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock_set_trouble(lock, strdup("no memory for a request"));
	arm(lock, &lock->refresh, clock_now() + STUMBLE_PAUSE);
}

static void
do_give_up(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock->refused = false;
	lock_forget_news(lock);
	give_up_place(lock);
}

static void
do_fail_conflict(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock_say_conflict(lock);
	fail(lock, ETCDLOCK_FAILURE_CONFLICT);
}

static void
do_fail_unreachable(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock_say_unreachable(lock);
	fail(lock, ETCDLOCK_FAILURE_UNREACHABLE);
}

static void
do_fail_wait(struct etcdlock *lock, const struct report *report)
{
	(void)report;
	lock_say_not_queued(lock);
	fail(lock, ETCDLOCK_FAILURE_UNREACHABLE);
}

typedef void (*action_fn)(struct etcdlock *lock, const struct report *report);

_Static_assert(LOCK_ACTIONS == 27, "give the new action its function below, and count it here");

static const action_fn actions[LOCK_ACTIONS] = {
	[LOCK_DO_NOTHING] = do_nothing,
	[LOCK_DO_BEGIN] = do_begin,
	[LOCK_DO_JOIN] = do_join,
	[LOCK_DO_REJOIN] = do_rejoin,
	[LOCK_DO_FOLLOW] = do_follow,
	[LOCK_DO_WAIT] = do_wait,
	[LOCK_DO_DELAY] = do_delay,
	[LOCK_DO_LOOK] = do_look,
	[LOCK_DO_RENEW] = do_renew,
	[LOCK_DO_RENEW_SOON] = do_renew_soon,
	[LOCK_DO_PLAN] = do_plan,
	[LOCK_DO_COUNT] = do_count,
	[LOCK_DO_SHORTEN] = do_shorten,
	[LOCK_DO_ACQUIRE] = do_acquire,
	[LOCK_DO_DOUBT] = do_doubt,
	[LOCK_DO_WARN] = do_warn,
	[LOCK_DO_LOSE] = do_lose,
	[LOCK_DO_RELEASE] = do_release,
	[LOCK_DO_GIVE_UP] = do_give_up,
	[LOCK_DO_RECLAIM] = do_reclaim,
	[LOCK_DO_FAIL_CONFLICT] = do_fail_conflict,
	[LOCK_DO_FAIL_REFUSED] = do_fail_refused,
	[LOCK_DO_FAIL_MEMORY] = do_fail_memory,
	[LOCK_DO_FAIL_UNREACHABLE] = do_fail_unreachable,
	[LOCK_DO_FAIL_WAIT] = do_fail_wait,
	[LOCK_DO_END] = do_end,
	[LOCK_DO_END_UNRELEASED] = do_end_unreleased,
};

void
lock_perform(struct etcdlock *lock, enum lock_action action, const struct report *report)
{
	actions[action](lock, report);
}
