/* lock: what moves it, with a protocol that reports what the test says. */
#include "lock_fixture.h"

#include "lock/lease.h"

#include <errno.h>
#include <string.h>

static void
an_empty_queue_is_ours_at_once(void **state)
{
	struct place first = place(0);

	(void)state;
	assert_int_equal(etcdlock_lock(lock), 0);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_GRANTING);
	report_granted();
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_CONTENDING);
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
	assert_int_equal(asked.holds, 1);
	assert_int_equal(event_count, 0); /* never from inside a call */
	await_events(1);
	assert_int_equal(events[0], ETCDLOCK_ACQUIRED);
	assert_int_equal(
	    etcdlock_deadline(lock), first.term.sent.boot + 60 * NSEC_PER_SEC - lease_margin(60 * NSEC_PER_SEC));
	assert_int_equal(etcdlock_revision(lock), 10);
	while (asked.follows == 0)
		event_base_loop(loop_base(session.loop), EVLOOP_ONCE);
	assert_int_equal(etcdlock_unlock(lock), 0);
	assert_int_equal(asked.held, 1);
	assert_int_equal(etcdlock_unlock(lock), -1);
	assert_int_equal(errno, EINVAL);
	report_released();
	await_events(2);
	assert_int_equal(events[1], ETCDLOCK_RELEASED);
	assert_int_equal(etcdlock_deadline(lock), 0);
}

static void
a_clean_release_needs_no_delay(void **state)
{
	struct place first = place(0);

	(void)state;
	wait_behind_one();
	report_vanished(VANISH_RELEASED);
	assert_int_equal(asked.looks, 1);
	/* Only a look makes it ours. */
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_WAITING);
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
}

static void
who_vanishes_is_given_the_delay(void **state)
{
	struct place first = place(0);
	nsec start;

	(void)state;
	wait_behind_one();
	report_vanished(VANISH_UNKNOWN);
	start = clock_now();
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_WAITING);
	while (asked.looks < 2 && clock_now() < start + 5 * NSEC_PER_SEC)
		event_base_loop(loop_base(session.loop), EVLOOP_NONBLOCK);
	assert_int_equal(asked.looks, 2);
	assert_true(clock_now() - start >= 49 * NSEC_PER_MSEC);
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
}

static void
a_vanishing_nobody_saw_is_no_release(void **state)
{
	struct place first = place(0);

	(void)state;
	wait_behind_one();
	report_placed(&first); /* a look showed it, the watch has said nothing */
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_WAITING);
	report_vanished(VANISH_RELEASED); /* now it has */
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
}

/* Its successor runs for a moment and says so, which says nothing of the one that has vanished. */
static void
who_comes_and_goes_meanwhile_ends_no_delay(void **state)
{
	struct place first = place(0), second = place(1);

	(void)state;
	wait_behind_one();
	first.vanished = second.vanished = clock_now();
	report_vanished(VANISH_UNKNOWN);
	report_placed(&second);
	report_vanished(VANISH_RELEASED);
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_WAITING);
	while (clock_now() < first.vanished + 51 * NSEC_PER_MSEC)
		event_base_loop(loop_base(session.loop), EVLOOP_NONBLOCK);
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
}

static void
a_wait_that_ends_in_the_delay_says_so(void **state)
{
	struct place first = place(0);
	char why[128];

	(void)state;
	assert_int_equal(etcdlock_set(lock, "wait", "20ms", why, sizeof(why)), 0);
	wait_behind_one();
	report_placed(&first);
	report_vanished(VANISH_UNKNOWN);
	while (etcdlock_state(lock) == ETCDLOCK_WAITING)
		event_base_loop(loop_base(session.loop), EVLOOP_ONCE);
	assert_string_equal(etcdlock_error(lock),
	    "free, but a holder may have vanished without a word, and the lock delay of 50ms is not over, still after 20ms");
	assert_int_equal(etcdlock_failure(lock), ETCDLOCK_FAILURE_CONFLICT);
}

static void
where_all_is_told_there_is_no_delay(void **state)
{
	struct place first = place(0);

	(void)state;
	wait_behind_one();
	first.told = true;
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
}

static void
no_lock_delay_is_none(void **state)
{
	struct place first = place(0);
	char why[128];

	(void)state;
	assert_int_equal(etcdlock_set(lock, "lock-delay", "0", why, sizeof(why)), 0);
	wait_behind_one();
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
}

static void
who_does_not_wait_does_not_wait_for_the_delay(void **state)
{
	struct place first = place(0);
	char why[128];

	(void)state;
	assert_int_equal(etcdlock_set(lock, "wait", "0", why, sizeof(why)), 0);
	first.vanished = clock_now();
	assert_int_equal(etcdlock_lock(lock), 0);
	report_granted();
	report_placed(&first);
	assert_int_equal(etcdlock_failure(lock), ETCDLOCK_FAILURE_CONFLICT);
	assert_string_equal(etcdlock_error(lock),
	    "free, but a holder may have vanished without a word, and the lock delay of 50ms is not over");
}

/* Our place goes with the key of the holder, and a newcomer is there first. */
static void
a_newcomer_ends_no_delay_of_who_queues_again(void **state)
{
	struct place first = place(0), second = place(1);

	(void)state;
	wait_behind_one();
	report_gone("it is gone");
	report_granted();
	report_placed(&second);
	report_vanished(VANISH_RELEASED);
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_WAITING);
}

static void
etcdctl_says_nothing_of_who_was_before_it(void **state)
{
	struct place first = place(0), second = place(1), third = place(2);

	(void)state;
	assert_int_equal(etcdlock_lock(lock), 0);
	report_granted();
	report_placed(&third);
	report_placed(&second); /* one of the two has gone just now */
	report_vanished(VANISH_MUTE);
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_WAITING);
}

static void
a_sole_etcdctl_needs_no_delay(void **state)
{
	struct place first = place(0);

	(void)state;
	wait_behind_one();
	report_vanished(VANISH_MUTE);
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
}

static void
a_worn_lease_is_renewed_before_the_start(void **state)
{
	struct place first = place(0);
	struct lease_term fresh = { .sent = clock_moment(), .ttl = 60 * NSEC_PER_SEC };

	(void)state;
	wait_behind_one();
	report_vanished(VANISH_RELEASED);
	first.term.sent = ago(45 * NSEC_PER_SEC);
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_WAITING);
	assert_int_equal(asked.firm, 1);
	report_renewed(&fresh);
	assert_int_equal(asked.looks, 2);
	first.term = fresh;
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
}

static void
a_lost_place_is_taken_again(void **state)
{
	(void)state;
	wait_behind_one();
	report_gone("deleted");
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_GRANTING);
	while (asked.joins < 2)
		event_base_loop(loop_base(session.loop), EVLOOP_ONCE);
	assert_int_equal(event_count, 1); /* no loss: it was not held */
}

static void
trouble_is_doubt_and_no_loss(void **state)
{
	struct lease_term fresh = { .sent = clock_moment(), .ttl = 60 * NSEC_PER_SEC };

	(void)state;
	hold();
	report_trouble("http://x: timeout", true);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_DOUBTFUL);
	assert_true(etcdlock_deadline(lock) > 0);
	report_renewed(&fresh);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
	await_events(2);
	assert_int_equal(events[1], ETCDLOCK_RENEWED);
}

static void
a_key_that_is_gone_is_a_loss_at_once(void **state)
{
	(void)state;
	hold();
	report_gone("its key is gone");
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_LOST);
	assert_int_equal(etcdlock_deadline(lock), 0);
	await_events(2);
	assert_int_equal(events[1], ETCDLOCK_DROPPED);
	assert_string_equal(etcdlock_error(lock), "its key is gone");
	assert_int_equal(etcdlock_lock(lock), -1);
	/* The leases and the key are still to be cleaned up. */
	assert_int_equal(etcdlock_unlock(lock), 0);
	assert_int_equal(asked.releases, 1);
}

/* Whoever is told late must not hear that the lock is his when it is not any more. */
static void
a_shorter_lease_that_is_asked_for_counts_at_once(void **state)
{
	const struct lease_term shorter = { .sent = clock_moment(), .ttl = 10 * NSEC_PER_SEC };

	(void)state;
	hold();
	report((struct report){ .kind = REPORT_EXPOSED, .place.term = shorter });
	assert_int_equal(etcdlock_deadline(lock), shorter.sent.boot + shorter.ttl - lease_margin(shorter.ttl));
	await_events(2);
	assert_int_equal(events[1], ETCDLOCK_RENEWED);
	/* One that ends later counts when it is there. */
	report((struct report){ .kind = REPORT_EXPOSED, .place.term = place(0).term });
	assert_int_equal(etcdlock_deadline(lock), shorter.sent.boot + shorter.ttl - lease_margin(shorter.ttl));
}

static void
no_acquisition_after_the_deadline(void **state)
{
	struct place first = place(0);

	(void)state;
	assert_int_equal(etcdlock_lock(lock), 0);
	report_granted();
	report_placed(&first);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
	/* The loop has no time for the event until the lease is over. */
	lock->term.sent = ago(60 * NSEC_PER_SEC);
	await_events(1);
	assert_int_equal(events[0], ETCDLOCK_DROPPED);
	assert_int_equal(event_count, 1);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_LOST);
}

/* CLOCK_BOOTTIME can be slewed: where CLOCK_MONOTONIC_RAW says that more has passed, that counts. */
static void
the_faster_clock_counts(void **state)
{
	struct lease_term slewed = { .sent = ago(49 * NSEC_PER_SEC), .ttl = 60 * NSEC_PER_SEC };
	const nsec began = clock_now();

	(void)state;
	slewed.sent.raw = ago(53 * NSEC_PER_SEC + 880 * NSEC_PER_MSEC).raw;
	hold();
	report_renewed(&slewed);
	assert_true(etcdlock_deadline(lock) < began + NSEC_PER_SEC);
	await_events(4);
	assert_int_equal(events[3], ETCDLOCK_DROPPED);
	assert_true(clock_now() < began + 4 * NSEC_PER_SEC);
}

static void
a_lease_that_runs_out_warns_first(void **state)
{
	struct lease_term worn = { .ttl = 60 * NSEC_PER_SEC };

	(void)state;
	hold();
	report_trouble("http://x: no answer", false);
	/* 53.9 s to the deadline, 10 s of grace before it: put the clock back to just before the grace, then the
	 * deadline. */
	worn.sent = ago(43 * NSEC_PER_SEC + 880 * NSEC_PER_MSEC);
	report_renewed(&worn);
	report_trouble("http://x: no answer", false);
	await_events(3);
	assert_int_equal(events[1], ETCDLOCK_RENEWED);
	assert_int_equal(events[2], ETCDLOCK_EXPIRING);
	assert_non_null(strstr(etcdlock_error(lock), "no answer"));
	worn.sent = ago(53 * NSEC_PER_SEC + 880 * NSEC_PER_MSEC);
	report_renewed(&worn);
	await_events(6);
	assert_int_equal(events[4], ETCDLOCK_EXPIRING);
	assert_int_equal(events[5], ETCDLOCK_DROPPED);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_LOST);
}

static void
no_etcd_anywhere_is_said_at_once(void **state)
{
	(void)state;
	assert_int_equal(etcdlock_lock(lock), 0);
	report_trouble("http://x: not etcd", true);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_RELEASING);
	report_released();
	await_events(1);
	assert_int_equal(events[0], ETCDLOCK_REFUSED);
	assert_int_equal(etcdlock_failure(lock), ETCDLOCK_FAILURE_REFUSED);
	assert_string_equal(etcdlock_error(lock), "http://x: not etcd");
}

static void
free_inside_the_callback(struct etcdlock *which, enum etcdlock_event event, void *arg)
{
	(void)event;
	(void)arg;
	event_count++;
	etcdlock_free(which);
	lock = NULL;
}

static void
a_callback_may_free_the_lock(void **state)
{
	(void)state;
	lock->on_event = free_inside_the_callback;
	hold();
	assert_null(lock);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LOCK(an_empty_queue_is_ours_at_once),
		WITH_LOCK(a_clean_release_needs_no_delay),
		WITH_LOCK(who_vanishes_is_given_the_delay),
		WITH_LOCK(a_vanishing_nobody_saw_is_no_release),
		WITH_LOCK(who_comes_and_goes_meanwhile_ends_no_delay),
		WITH_LOCK(a_wait_that_ends_in_the_delay_says_so),
		WITH_LOCK(where_all_is_told_there_is_no_delay),
		WITH_LOCK(no_lock_delay_is_none),
		WITH_LOCK(who_does_not_wait_does_not_wait_for_the_delay),
		WITH_LOCK(a_newcomer_ends_no_delay_of_who_queues_again),
		WITH_LOCK(etcdctl_says_nothing_of_who_was_before_it),
		WITH_LOCK(a_sole_etcdctl_needs_no_delay),
		WITH_LOCK(a_worn_lease_is_renewed_before_the_start),
		WITH_LOCK(a_lost_place_is_taken_again),
		WITH_LOCK(trouble_is_doubt_and_no_loss),
		WITH_LOCK(a_key_that_is_gone_is_a_loss_at_once),
		WITH_LOCK(a_lease_that_runs_out_warns_first),
		WITH_LOCK(a_shorter_lease_that_is_asked_for_counts_at_once),
		WITH_LOCK(no_acquisition_after_the_deadline),
		WITH_LOCK(the_faster_clock_counts),
		WITH_LOCK(no_etcd_anywhere_is_said_at_once),
		WITH_LOCK(a_callback_may_free_the_lock),
	};

	return RUN_UNITS(tests);
}
