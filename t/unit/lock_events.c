/* lock: the order of what is reported, and what is too late. */
#include "lock_fixture.h"

#include <string.h>

static void
post_a_renewal(void *arg)
{
	(void)arg;
	post((struct report){
	    .kind = REPORT_RENEWED, .place.term = { .sent = clock_moment(), .ttl = 60 * NSEC_PER_SEC } });
}

/* What was answered before the deadline is known when its timer fires, though that is late. */
static void
a_renewal_that_is_queued_beats_the_deadline(void **state)
{
	struct timer answer;

	(void)state;
	hold();
	lock->term.sent = ago(60 * NSEC_PER_SEC);
	timer_init(&answer, post_a_renewal, NULL);
	timer_arm(session.loop, &answer, clock_now() - 2);
	timer_arm(session.loop, &lock->expired, clock_now() - 1);
	await_events(2);
	assert_int_equal(events[1], ETCDLOCK_RENEWED);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_HELD);
}

/* Nobody starts anything upon an acquisition while the news of its loss is waiting. */
static void
a_loss_that_is_queued_beats_the_start(void **state)
{
	struct place first = place(0);

	(void)state;
	assert_int_equal(etcdlock_lock(lock), 0);
	report_granted();
	post(placed(&first));
	post((struct report){ .kind = REPORT_KEY_GONE, .text = strdup("its key is gone") });
	await_events(1);
	assert_int_equal(events[0], ETCDLOCK_DROPPED);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_LOST);
	assert_string_equal(etcdlock_error(lock), "its key is gone");
}

/* What was given up has nothing to say any more. */
static void
a_report_of_an_older_generation_is_dropped(void **state)
{
	struct place first = place(0);
	struct report late = placed(&first);

	(void)state;
	wait_behind_one();
	late.generation = lock->contender.generation;
	report_gone("deleted");
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_GRANTING);
	lock_events_post(&lock->events, &late);
	lock->events.task.run(lock->events.task.arg);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_GRANTING);
}

/* Of two reports of a kind the later one counts, but for what has ended something. */
static void
reports_are_queued_once(void **state)
{
	struct place first = place(0), second = place(1);
	struct report next;

	(void)state;
	post(placed(&first));
	post((struct report){ .kind = REPORT_TROUBLE });
	post(placed(&second));
	post((struct report){ .kind = REPORT_KEY_GONE, .text = strdup("first") });
	post((struct report){ .kind = REPORT_KEY_GONE, .text = strdup("second") });
	assert_true(lock_events_next(&lock->events, &next));
	assert_int_equal(next.kind, REPORT_TROUBLE);
	report_free(&next);
	assert_true(lock_events_next(&lock->events, &next));
	assert_int_equal(next.kind, REPORT_PLACED);
	assert_int_equal(next.place.ahead, 1);
	report_free(&next);
	assert_true(lock_events_next(&lock->events, &next));
	assert_string_equal(report_text(&next), "first");
	report_free(&next);
	assert_false(lock_events_next(&lock->events, &next));
}

/* The table is complete: every event of every state leads somewhere, and every action has a name. */
static void
the_table_is_complete(void **state)
{
	(void)state;
	for (int from = 0; from < ETCDLOCK_STATES; from++)
		for (int event = 0; event < LOCK_EVENTS; event++) {
			struct lock_step step = lock_states_step((enum etcdlock_state)from, (enum lock_event)event);

			assert_true(step.next < ETCDLOCK_STATES && step.action < LOCK_ACTIONS);
			assert_non_null(lock_event_name((enum lock_event)event));
			assert_non_null(lock_action_name(step.action));
			/* Nothing but the user's wish begins anything. */
			if (from == ETCDLOCK_IDLE && step.next != ETCDLOCK_IDLE)
				assert_true(event == LOCK_ASKED_FOR || event == LOCK_RECLAIMED);
			/* And what was lost comes back by no report. */
			if (from == ETCDLOCK_LOST)
				assert_true(step.next == ETCDLOCK_LOST || event == LOCK_GIVEN_UP);
		}
}

/* The key ahead was marked; its end, told in the same moment without what it was before, takes nothing back. */
static void
a_release_stays_one(void **state)
{
	struct report next;

	(void)state;
	post((struct report){ .kind = REPORT_VANISHED, .how = VANISH_RELEASED });
	post((struct report){ .kind = REPORT_VANISHED, .how = VANISH_UNKNOWN });
	assert_true(lock_events_next(&lock->events, &next));
	assert_int_equal(next.how, VANISH_RELEASED);
	assert_false(lock_events_next(&lock->events, &next));
}

static void
everything_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < ETCDLOCK_STATES; i++)
		assert_non_null(etcdlock_state_name((enum etcdlock_state)i));
	for (int i = 0; i < LOCK_ACTIONS; i++)
		assert_non_null(lock_action_name((enum lock_action)i));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_complete),
		cmocka_unit_test(everything_has_a_name),
		WITH_LOCK(a_renewal_that_is_queued_beats_the_deadline),
		WITH_LOCK(a_loss_that_is_queued_beats_the_start),
		WITH_LOCK(a_report_of_an_older_generation_is_dropped),
		WITH_LOCK(reports_are_queued_once),
		WITH_LOCK(a_release_stays_one),
	};

	return RUN_UNITS(tests);
}
