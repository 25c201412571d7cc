/* v3: a place in the queue, from the join to the leaving. */
#include "v3_fixture.h"

#include "lock/v3/v3_struct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- in the queue --- */

static void
a_join_is_a_lease_and_a_key(void **state)
{
	const struct report *report;

	(void)state;
	join_behind(NULL);
	report = reported(REPORT_PLACED);
	assert_int_equal(report->place.ahead, 0);
	assert_int_equal(report->place.revision, 5);
	assert_int_equal(report->place.term.ttl, 60 * NSEC_PER_SEC);
	assert_int_equal(report->generation, contender.generation);
	assert_string_equal(v3->owner_key(protocol), key);
	assert_int_equal(v3->create_revision(protocol), 5);
	assert_int_equal(((struct v3 *)protocol)->goal, GOAL_QUEUE);
	assert_int_equal(((struct v3 *)protocol)->step, V3_STEP_NONE);
	/* It is the lock that says what follows. */
	assert_int_equal(http_out(), 0);
}

static void
who_is_ahead_is_watched(void **state)
{
	const struct report *report;
	char before[256];
	const struct kv mark = marked(4);

	(void)state;
	join_behind(&them);
	report = reported(REPORT_PLACED);
	assert_int_equal(report->place.ahead, 1);
	assert_string_equal(report->place.holder, "them");
	assert_string_equal(report->place.holder_key, "/l/aa");
	follow();
	nothing_is_reported();
	/* Its key goes, and had the released mark. */
	print_kv(before, sizeof(before), &mark);
	http_stream(http_find("/v3/watch"),
	    "{\"result\":{" HEADER
	    ",\"watch_id\":\"1\",\"events\":[{\"type\":\"DELETE\",\"kv\":{\"key\":\"L2wvYWE=\",\"mod_revision\":\"6\"},"
	    "\"prev_kv\":%s}]}}",
	    6, before);
	assert_int_equal(reported(REPORT_VANISHED)->how, VANISH_RELEASED);
}

static void
a_marked_key_is_not_ahead(void **state)
{
	const struct kv mark = marked(4);

	(void)state;
	join_behind(&mark);
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 0);
}

static void
a_key_that_is_not_ours_any_more_is_gone(void **state)
{
	const struct kv changed = own(5, 7, 99);

	(void)state;
	hold();
	v3->look(protocol);
	fake_loop_run();
	answer_look(7, &changed);
	assert_non_null(strstr(reported(REPORT_KEY_GONE)->text, "changed from outside at revision 7"));
	/* Nothing is done until the lock says what. */
	assert_int_equal(((struct v3 *)protocol)->goal, GOAL_NONE);
	v3->look(protocol);
	v3->renew(protocol, true);
	fake_loop_run();
	assert_int_equal(http_out(), 0);
	/* It may be on no lease, and in everybody's way: it is deleted before the next join. */
	next_generation();
	v3->join(protocol);
	fake_loop_run();
	assert_false(http_is_out("grant"));
	assert_non_null(strstr(http_body(http_find("/v3/kv/txn")), "request_delete_range"));
	http_answer(http_find("/v3/kv/txn"), 200, "{" HEADER ",\"succeeded\":true}", 8);
	assert_true(http_is_out("/v3/lease/grant"));
}

static void
a_late_look_says_nothing(void **state)
{
	const struct kv mine = own(5, 5, lease);

	(void)state;
	hold();
	v3->look(protocol);
	fake_loop_run();
	/* It was read before we joined, so our key is not there. */
	answer_look(4, NULL);
	assert_non_null(strstr(reported(REPORT_KEY_GONE)->text, "not the one that it was, at revision 4 after 5"));
	(void)mine;
}

static void
a_refused_join_sends_nothing_more(void **state)
{
	(void)state;
	next_generation();
	v3->join(protocol);
	fake_loop_run();
	http_answer(http_find("/v3/lease/grant"), 403, "{\"error\":\"etcdserver: permission denied\",\"code\":7}");
	assert_non_null(strstr(reported(REPORT_REFUSED)->text, "needs a role with readwrite permission"));
	fake_loop_advance(60 * NSEC_PER_SEC);
	assert_int_equal(http_out(), 0);
}

static void
a_lease_that_is_gone_is_asked_for_again(void **state)
{
	int64_t first;

	(void)state;
	next_generation();
	v3->join(protocol);
	fake_loop_run();
	answer_grant(4);
	first = lease;
	reported(REPORT_GRANTED);
	http_answer(http_find("/v3/kv/txn"), 404, "{\"error\":\"etcdserver: requested lease not found\",\"code\":5}");
	answer_grant(5);
	assert_int_not_equal(lease, first);
}

static void
no_memory_is_a_trouble(void **state)
{
	(void)state;
	next_generation();
	http_starve(2);
	v3->join(protocol);
	fake_loop_run();
	assert_non_null(strstr(reported(REPORT_TROUBLE)->text, "no memory"));
	/* It is repeated all the same. */
	fake_loop_advance(100 * NSEC_PER_MSEC);
	answer_grant(4);
	reported(REPORT_GRANTED);
}

/* --- leaving --- */

static void
a_release_marks_and_revokes(void **state)
{
	(void)state;
	hold();
	next_generation();
	v3->release(protocol, true);
	fake_loop_run();
	assert_int_equal(http_out(), 1);
	/* The released mark: NUL and the id. */
	assert_non_null(strstr(http_body(http_find("/v3/kv/txn")), "\"value\":\"AG1l\""));
	http_answer(http_find("/v3/kv/txn"), 200,
	    "{" HEADER ",\"succeeded\":true,\"responses\":[{},{\"response_range\":{\"count\":\"2\"}}]}", 6);
	step_aside_and_leave(7);
	assert_null(v3->owner_key(protocol));
	assert_int_equal(http_out(), 0);
}

static void
a_waiter_leaves_without_a_mark(void **state)
{
	(void)state;
	join_behind(&them);
	reported(REPORT_PLACED);
	next_generation();
	v3->release(protocol, false);
	fake_loop_run();
	http_answer(http_find("revoke"), 404, "{\"error\":\"etcdserver: requested lease not found\",\"code\":5}");
	reported(REPORT_GIVEN);
	reported(REPORT_RELEASED);
}

static void
a_grant_that_is_out_is_waited_for(void **state)
{
	(void)state;
	next_generation();
	v3->join(protocol);
	fake_loop_run();
	next_generation();
	v3->release(protocol, false);
	fake_loop_run();
	assert_int_equal(http_out(), 1);
	answer_grant(4);
	reported(REPORT_GRANTED);
	assert_int_equal(strtoll(strstr(http_body(http_find("revoke")), ":\"") + 2, NULL, 10), lease);
	http_answer(http_find("revoke"), 200, "{" HEADER "}", 5);
	reported(REPORT_RELEASED);
}

static void
what_etcd_never_heard_of_needs_no_revocation(void **state)
{
	(void)state;
	next_generation();
	v3->join(protocol);
	fake_loop_run();
	http_fail(http_find("grant"), "refused", false);
	reported(REPORT_TROUBLE);
	next_generation();
	v3->release(protocol, false);
	fake_loop_run();
	reported(REPORT_RELEASED);
	assert_int_equal(http_out(), 0);
}

static void
a_dead_process_is_reclaimed(void **state)
{
	const struct kv left = { .key = "/l/ab", .value = "me", .len = 2, .create = 4, .mod = 9, .lease = 77 };

	(void)state;
	assert_int_equal(v3->reclaim(protocol, "/other/ab", 4, true), -1);
	assert_int_equal(errno, EINVAL);
	next_generation();
	assert_int_equal(v3->reclaim(protocol, "/l/ab", 4, true), 0);
	fake_loop_run();
	answer_look(9, &left);
	assert_non_null(strstr(http_body(http_find("/v3/kv/txn")), "\"value\":\"AG1l\""));
	http_answer(http_find("/v3/kv/txn"), 200, "{" HEADER ",\"succeeded\":true}", 10);
	/* A move may still come, to a lease that we do not know: the key itself goes. */
	assert_non_null(strstr(http_body(http_find("/v3/kv/txn")), "request_delete_range"));
	http_answer(http_find("/v3/kv/txn"), 200, "{" HEADER ",\"succeeded\":true}", 11);
	assert_non_null(strstr(http_body(http_find("revoke")), "\"77\""));
	http_answer(http_find("revoke"), 200, "{" HEADER "}", 12);
	reported(REPORT_GIVEN);
	reported(REPORT_RELEASED);
}

static void
what_is_stopped_says_no_more(void **state)
{
	(void)state;
	hold();
	v3->renew(protocol, true);
	v3->look(protocol);
	v3->follow(protocol);
	fake_loop_run();
	assert_true(http_out() >= 3);
	next_generation();
	v3->stop(protocol);
	fake_loop_advance(60 * NSEC_PER_SEC);
	assert_int_equal(http_out(), 0);
	nothing_is_reported();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_V3(a_join_is_a_lease_and_a_key),
		WITH_V3(who_is_ahead_is_watched),
		WITH_V3(a_marked_key_is_not_ahead),
		WITH_V3(a_key_that_is_not_ours_any_more_is_gone),
		WITH_V3(a_late_look_says_nothing),
		WITH_V3(a_refused_join_sends_nothing_more),
		WITH_V3(a_lease_that_is_gone_is_asked_for_again),
		WITH_V3(no_memory_is_a_trouble),
		WITH_V3(a_release_marks_and_revokes),
		WITH_V3(a_waiter_leaves_without_a_mark),
		WITH_V3(a_grant_that_is_out_is_waited_for),
		WITH_V3(what_etcd_never_heard_of_needs_no_revocation),
		WITH_V3(a_dead_process_is_reclaimed),
		WITH_V3(what_is_stopped_says_no_more),
	};

	return RUN_UNITS(tests);
}
