/* v2: the protocol, against answers that the test makes. */
#include "protocol_fixture.h"

#include <errno.h>
#include <string.h>

#define NODE(action, modified) \
	"{\"action\":\"" action \
	"\",\"node\":{\"key\":\"/l\",\"value\":\"me\",\"createdIndex\":5,\"modifiedIndex\":" modified ",\"ttl\":60}}"
#define CREATED(index) \
	"{\"action\":\"create\",\"node\":{\"key\":\"/l\",\"value\":\"me\",\"createdIndex\":" index \
	",\"modifiedIndex\":" index ",\"ttl\":60}}"
#define THEIRS \
	"{\"action\":\"get\",\"node\":{\"key\":\"/l\",\"value\":\"them\",\"createdIndex\":3,\"modifiedIndex\":3,\"ttl\":60}}"

static const struct protocol *const v2 = &protocol_v2;

static int
begin(void **state)
{
	(void)state;
	return contend(v2, true);
}

static void
join(void)
{
	next_generation();
	v2->join(protocol);
	fake_loop_run();
	reported(REPORT_GRANTED);
}

static void
hold(void)
{
	join();
	http_answer(http_find("prevExist=false"), 201, CREATED("5"));
	reported(REPORT_PLACED);
	v2->hold(protocol);
	v2->follow(protocol);
	fake_loop_run();
}

static void
wait_behind_them(void)
{
	join();
	http_answer(
	    http_find("prevExist=false"), 412, "{\"errorCode\":105,\"message\":\"Key already exists\",\"index\":4}");
	http_answer(http_find("quorum=true"), 200, THEIRS);
	assert_string_equal(reported(REPORT_PLACED)->place.holder, "them");
	v2->follow(protocol);
	fake_loop_run();
}

static void
who_creates_the_key_has_it(void **state)
{
	const struct report *report;

	(void)state;
	join();
	assert_non_null(strstr(http_url(http_find("prevExist=false")), "/v2/keys/l?prevExist=false&ttl=60&value=me"));
	http_answer(http_find("prevExist=false"), 201, CREATED("5"));
	report = reported(REPORT_PLACED);
	assert_int_equal(report->place.ahead, 0);
	assert_int_equal(report->place.revision, 5);
	assert_int_equal(v2->create_revision(protocol), 5);
}

/* They release at 6, and we ask for the lock. */
static void
let_them_release(void)
{
	http_answer(http_find("waitIndex=5"), 200,
	    "{\"action\":\"compareAndDelete\",\"node\":{\"key\":\"/l\",\"createdIndex\":3,\"modifiedIndex\":6}}");
	assert_int_equal(reported(REPORT_VANISHED)->how, VANISH_RELEASED);
	v2->look(protocol);
	fake_loop_run();
}

static void
the_others_wait_for_its_end(void **state)
{
	(void)state;
	wait_behind_them();
	assert_true(http_is_out("waitIndex=5"));
	let_them_release();
	http_answer(http_find("prevExist=false"), 201, CREATED("7"));
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 0);
}

static nsec
vanished_at_our_place(void)
{
	const struct report *report = reported(REPORT_PLACED);

	assert_int_equal(report->place.ahead, 0);
	assert_true(report->place.told);
	return report->place.vanished;
}

/* What came before our creation at 9 is known: whether the key is still ours is asked, too. */
static nsec
vanished_before_9(void)
{
	nothing_is_reported();
	http_answer(http_find("quorum=true"), 200, CREATED("9"));
	assert_int_equal(http_out(), 0);
	return vanished_at_our_place();
}

/* They release at 6, and our creation is at 9: somebody else might have had the key meanwhile. */
static void
create_after_a_gap(void)
{
	wait_behind_them();
	let_them_release();
	http_answer(http_find("prevExist=false"), 201, CREATED("9"));
	nothing_is_reported();
}

static void
the_events_before_our_creation_tell_who_came_and_went(void **state)
{
	(void)state;
	create_after_a_gap();
	http_answer(http_find("waitIndex=7"), 200, CREATED("7"));
	nothing_is_reported();
	http_answer(http_find("waitIndex=8"), 200, NODE("compareAndDelete", "8"));
	assert_int_equal(vanished_before_9(), 0);
}

static void
one_of_them_vanished(void **state)
{
	(void)state;
	create_after_a_gap();
	http_answer(http_find("waitIndex=7"), 200, NODE("expire", "8"));
	assert_int_not_equal(vanished_before_9(), 0);
}

static void
nothing_happened_before_our_creation(void **state)
{
	(void)state;
	create_after_a_gap();
	http_answer(http_find("waitIndex=7"), 200, CREATED("9"));
	assert_int_equal(vanished_before_9(), 0);
}

static void
events_that_cannot_be_had_are_taken_for_the_worst(void **state)
{
	(void)state;
	create_after_a_gap();
	http_fail(http_find("waitIndex=7"), "lost", true);
	reported(REPORT_TROUBLE);
	assert_int_not_equal(vanished_before_9(), 0);
}

static void
events_that_are_forgotten_as_well(void **state)
{
	(void)state;
	create_after_a_gap();
	http_answer(http_find("waitIndex=7"), 400, "{\"errorCode\":401,\"message\":\"outdated\",\"index\":3000}");
	assert_int_not_equal(vanished_before_9(), 0);
}

/* Of a renewal that finds the key changed the place is not reported from what came before. */
static void
a_key_that_is_lost_meanwhile_is_lost(void **state)
{
	(void)state;
	create_after_a_gap();
	v2->renew(protocol, true);
	fake_loop_run();
	http_answer(http_find("prevIndex=9"), 412, "{\"errorCode\":101,\"message\":\"Compare failed\",\"index\":12}");
	http_answer(http_find("quorum=true"), 200, THEIRS);
	reported(REPORT_KEY_GONE);
}

static void
a_look_meanwhile_does_not_report_the_place(void **state)
{
	(void)state;
	create_after_a_gap();
	v2->look(protocol);
	fake_loop_run();
	http_answer(http_find("quorum=true"), 200, CREATED("9"));
	nothing_is_reported();
	http_answer(http_find("waitIndex=7"), 200, NODE("expire", "8"));
	assert_int_not_equal(vanished_before_9(), 0);
}

/* 401: what there is now is read, and whoever came and went meanwhile is nobody that we know of. */
static void
events_that_a_poll_has_missed_are_taken_for_the_worst(void **state)
{
	(void)state;
	wait_behind_them();
	http_answer(http_find("waitIndex=5"), 400, "{\"errorCode\":401,\"message\":\"outdated\",\"index\":3000}");
	assert_false(http_is_out("waitIndex"));
	http_answer(http_find("quorum=true"), 200, THEIRS);
	assert_int_not_equal(reported(REPORT_PLACED)->place.vanished, 0);
	fake_loop_advance(NSEC_PER_SEC);
	assert_true(http_is_out("waitIndex=3001"));
}

/* Events that are older than the lock delay say nothing that matters any more. */
static void
a_long_past_is_not_read_to_its_end(void **state)
{
	(void)state;
	create_after_a_gap();
	fake_loop_advance(contender.timing.delay_ms * NSEC_PER_MSEC);
	http_answer(http_find("waitIndex=7"), 200, CREATED("7"));
	assert_int_equal(vanished_before_9(), 0);
}

/* The store was restored meanwhile: who was there at 7 and 8 nobody knows any more. */
static void
an_index_that_is_not_new_is_taken_for_the_worst(void **state)
{
	(void)state;
	wait_behind_them();
	let_them_release();
	http_answer(http_find("prevExist=false"), 201, CREATED("5"));
	assert_int_not_equal(vanished_at_our_place(), 0);
}

static void
a_holder_whose_end_is_not_told_has_vanished(void **state)
{
	(void)state;
	wait_behind_them();
	http_answer(http_find("waitIndex=5"), 200, CREATED("6"));
	assert_int_not_equal(reported(REPORT_PLACED)->place.vanished, 0);
}

/* The first of two tries worked unseen, and so did the read before it; the second asked for a longer TTL. */
static void
what_an_undecided_renewal_asked_for_counts(void **state)
{
	const nsec began = clock_now();
	const struct report *report;

	(void)state;
	hold();
	contender.timing.ttl_s = 10;
	v2->renew(protocol, true);
	fake_loop_run();
	reported(REPORT_EXPOSED);
	http_fail(http_find("prevIndex=5"), "lost", true);
	reported(REPORT_TROUBLE);
	contender.timing.ttl_s = 60;
	fake_loop_advance(100 * NSEC_PER_MSEC);
	http_answer(http_find("prevIndex=5"), 412, "{\"errorCode\":101,\"message\":\"Compare failed\",\"index\":6}");
	http_answer(http_find("quorum=true"), 200, NODE("get", "5"));
	http_answer(http_find("prevIndex=5"), 412, "{\"errorCode\":101,\"message\":\"Compare failed\",\"index\":6}");
	http_answer(http_find("quorum=true"), 200, NODE("get", "6"));
	report = reported(REPORT_RENEWED);
	assert_int_equal(report->place.term.sent.boot, began);
	assert_int_equal(report->place.term.ttl, 10 * NSEC_PER_SEC);
}

/* They vanish at 6; the next one has its key at 7, and says at 8 that its own command is dead. */
static void
who_vanished_is_not_forgotten_when_the_next_one_releases(void **state)
{
	const struct report *report;
	nsec vanished;

	(void)state;
	wait_behind_them();
	http_answer(http_find("waitIndex=5"), 200, NODE("delete", "6"));
	assert_int_equal(reported(REPORT_VANISHED)->how, VANISH_UNKNOWN);
	v2->look(protocol);
	fake_loop_run();
	http_answer(
	    http_find("prevExist=false"), 412, "{\"errorCode\":105,\"message\":\"Key already exists\",\"index\":7}");
	report = reported(REPORT_PLACED);
	vanished = report->place.vanished;
	assert_int_not_equal(vanished, 0);
	v2->follow(protocol);
	fake_loop_run();
	http_answer(http_find("waitIndex=7"), 200, CREATED("7"));
	assert_string_equal(reported(REPORT_PLACED)->place.holder, "me");
	http_answer(http_find("waitIndex=8"), 200, NODE("compareAndDelete", "8"));
	assert_int_equal(reported(REPORT_VANISHED)->how, VANISH_RELEASED);
	v2->look(protocol);
	fake_loop_run();
	http_answer(http_find("prevExist=false"), 201, CREATED("9"));
	assert_int_equal(vanished_at_our_place(), vanished);
}

static void
a_lost_answer_to_a_creation_can_have_been_that_somebody_is_there(void **state)
{
	(void)state;
	join();
	http_fail(http_find("prevExist=false"), "lost", true);
	reported(REPORT_TROUBLE);
	fake_loop_advance(NSEC_PER_SEC);
	http_answer(http_find("prevExist=false"), 201, CREATED("5"));
	assert_int_not_equal(vanished_at_our_place(), 0);
}

static void
who_was_there_when_we_came_can_have_gone_unseen(void **state)
{
	(void)state;
	join();
	http_answer(
	    http_find("prevExist=false"), 412, "{\"errorCode\":105,\"message\":\"Key already exists\",\"index\":4}");
	http_answer(http_find("quorum=true"), 404, "{\"errorCode\":100,\"message\":\"Key not found\",\"index\":5}");
	http_answer(http_find("prevExist=false"), 201, CREATED("6"));
	http_answer(http_find("waitIndex=5"), 200, NODE("expire", "5"));
	http_answer(http_find("quorum=true"), 200, CREATED("6"));
	assert_int_not_equal(vanished_at_our_place(), 0);
}

static void
an_expiry_is_no_release(void **state)
{
	(void)state;
	wait_behind_them();
	http_answer(http_find("waitIndex"), 200,
	    "{\"action\":\"expire\",\"node\":{\"key\":\"/l\",\"createdIndex\":3,\"modifiedIndex\":6}}");
	assert_int_equal(reported(REPORT_VANISHED)->how, VANISH_UNKNOWN);
}

static void
renewals_follow_the_chain(void **state)
{
	(void)state;
	hold();
	v2->renew(protocol, true);
	fake_loop_run();
	http_answer(http_find("prevIndex=5"), 200, NODE("compareAndSwap", "8"));
	reported(REPORT_RENEWED);
	v2->renew(protocol, true);
	fake_loop_run();
	/* Its answer is lost: a step in the chain can be ours. */
	http_fail(http_find("prevIndex=8"), "lost", true);
	reported(REPORT_TROUBLE);
	fake_loop_advance(NSEC_PER_SEC);
	http_answer(http_find("prevIndex=8"), 412, "{\"errorCode\":101,\"message\":\"Compare failed\",\"index\":9}");
	http_answer(http_find("quorum=true"), 200, NODE("get", "9"));
	reported(REPORT_RENEWED);
}

/* The TTL is made shorter: once a renewal with it is out, no more than that can be counted on. */
static void
a_shorter_ttl_counts_before_its_answer(void **state)
{
	(void)state;
	hold();
	contender.timing.ttl_s = 10;
	v2->renew(protocol, true);
	fake_loop_run();
	assert_int_equal(reported(REPORT_EXPOSED)->place.term.ttl, 10 * NSEC_PER_SEC);
	http_fail(http_find("prevIndex=5"), "lost", true);
	reported(REPORT_TROUBLE);
}

/* A read comes back before the answer to a renewal that it has seen. */
static void
read_meanwhile(void)
{
	hold();
	http_fail(http_find("waitIndex=6"), "lost", true);
	v2->renew(protocol, true);
	fake_loop_run();
	http_answer(http_find("quorum=true"), 200, NODE("get", "6"));
	nothing_is_reported();
	assert_false(http_is_out("quorum=true"));
}

static void
a_renewal_that_was_seen_before_its_answer_is_no_loss(void **state)
{
	(void)state;
	read_meanwhile();
	http_answer(http_find("prevIndex=5"), 200, NODE("compareAndSwap", "6"));
	reported(REPORT_RENEWED);
	http_answer(http_find("quorum=true"), 200, NODE("get", "6"));
	reported(REPORT_PLACED);
}

static void
what_was_seen_and_was_not_ours_is_one(void **state)
{
	(void)state;
	read_meanwhile();
	http_answer(http_find("prevIndex=5"), 412, "{\"errorCode\":101,\"message\":\"Compare failed\",\"index\":6}");
	http_answer(http_find("quorum=true"), 200, NODE("get", "6"));
	reported(REPORT_KEY_GONE);
}

static void
a_step_that_nobody_of_us_made_is_a_loss(void **state)
{
	(void)state;
	hold();
	v2->renew(protocol, true);
	fake_loop_run();
	http_answer(http_find("prevIndex=5"), 412, "{\"errorCode\":101,\"message\":\"Compare failed\",\"index\":9}");
	http_answer(http_find("quorum=true"), 200, NODE("get", "9"));
	assert_non_null(strstr(reported(REPORT_KEY_GONE)->text, "changed from outside at index 9"));
	fake_loop_advance(60 * NSEC_PER_SEC);
	assert_false(http_is_out("prevIndex"));
}

static void
a_key_that_goes_is_a_loss_at_once(void **state)
{
	(void)state;
	hold();
	http_answer(http_find("waitIndex=6"), 200,
	    "{\"action\":\"delete\",\"node\":{\"key\":\"/l\",\"createdIndex\":5,\"modifiedIndex\":6}}");
	assert_non_null(strstr(reported(REPORT_KEY_GONE)->text, "is gone"));
}

static void
a_release_deletes_what_we_left(void **state)
{
	(void)state;
	hold();
	next_generation();
	v2->release(protocol, true);
	fake_loop_run();
	assert_int_equal(http_out(), 1);
	http_answer(http_find("prevIndex=5"), 200, NODE("compareAndDelete", "6"));
	reported(REPORT_RELEASED);
	assert_null(v2->owner_key(protocol));
}

static void
a_creation_that_is_out_is_waited_for(void **state)
{
	(void)state;
	join();
	next_generation();
	v2->release(protocol, false);
	fake_loop_run();
	http_answer(http_find("prevExist=false"), 201, CREATED("5"));
	/* A deletion would say that no command lives, which nobody knows who has not held the lock. */
	assert_non_null(strstr(http_url(http_find("prevIndex=5")), "ttl=1&refresh=true"));
	http_answer(http_find("prevIndex=5"), 200, NODE("compareAndSwap", "6"));
	reported(REPORT_RELEASED);
	assert_int_equal(http_out(), 0);
}

static void
a_creation_that_never_left_is_not(void **state)
{
	(void)state;
	join();
	next_generation();
	v2->release(protocol, false);
	fake_loop_run();
	http_fail(http_find("prevExist=false"), "refused", false);
	reported(REPORT_RELEASED);
	assert_int_equal(http_out(), 0);
}

static void
a_directory_is_refused(void **state)
{
	(void)state;
	join();
	http_answer(
	    http_find("prevExist=false"), 403, "{\"errorCode\":102,\"message\":\"Not a file\",\"cause\":\"/l\"}");
	assert_string_equal(reported(REPORT_REFUSED)->text, "Not a file (/l)");
	assert_int_equal(http_out(), 0);
}

static void
a_dead_process_is_reclaimed(void **state)
{
	(void)state;
	assert_int_equal(v2->reclaim(protocol, "/other", 5, true), -1);
	assert_int_equal(errno, EINVAL);
	next_generation();
	assert_int_equal(v2->reclaim(protocol, "/l", 5, true), 0);
	fake_loop_run();
	http_answer(http_find("quorum=true"), 200, NODE("get", "9"));
	assert_null(strstr(http_url(http_find("prevIndex=9")), "ttl="));
	http_answer(http_find("prevIndex=9"), 200, NODE("compareAndDelete", "10"));
	reported(REPORT_RELEASED);
}

int
main(void)
{
#define V2(test) cmocka_unit_test_setup_teardown(test, begin, stop_contending)
	const struct CMUnitTest tests[] = {
		V2(who_creates_the_key_has_it),
		V2(the_others_wait_for_its_end),
		V2(the_events_before_our_creation_tell_who_came_and_went),
		V2(one_of_them_vanished),
		V2(nothing_happened_before_our_creation),
		V2(events_that_cannot_be_had_are_taken_for_the_worst),
		V2(events_that_are_forgotten_as_well),
		V2(a_key_that_is_lost_meanwhile_is_lost),
		V2(a_look_meanwhile_does_not_report_the_place),
		V2(events_that_a_poll_has_missed_are_taken_for_the_worst),
		V2(a_long_past_is_not_read_to_its_end),
		V2(an_index_that_is_not_new_is_taken_for_the_worst),
		V2(a_holder_whose_end_is_not_told_has_vanished),
		V2(what_an_undecided_renewal_asked_for_counts),
		V2(who_vanished_is_not_forgotten_when_the_next_one_releases),
		V2(a_lost_answer_to_a_creation_can_have_been_that_somebody_is_there),
		V2(who_was_there_when_we_came_can_have_gone_unseen),
		V2(an_expiry_is_no_release),
		V2(renewals_follow_the_chain),
		V2(a_shorter_ttl_counts_before_its_answer),
		V2(a_renewal_that_was_seen_before_its_answer_is_no_loss),
		V2(what_was_seen_and_was_not_ours_is_one),
		V2(a_step_that_nobody_of_us_made_is_a_loss),
		V2(a_key_that_goes_is_a_loss_at_once),
		V2(a_release_deletes_what_we_left),
		V2(a_creation_that_is_out_is_waited_for),
		V2(a_creation_that_never_left_is_not),
		V2(a_directory_is_refused),
		V2(a_dead_process_is_reclaimed),
	};

	return RUN_UNITS(tests);
}
