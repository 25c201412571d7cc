/* v3: what a look reads of the queue, and what follows from it. */
#include "v3_fixture.h"

#include "lock/v3/v3_struct.h"

#include <string.h>

/* The one ahead of us, as etcd tells of it at revision 6: BEFORE, and with DELETED gone. */
static void
tell(const struct kv *kv, bool deleted)
{
	char text[256];

	print_kv(text, sizeof(text), kv);
	http_stream(http_find("/v3/watch"), "{\"result\":{" HEADER ",\"watch_id\":\"1\",\"events\":[{%s%s}]}}", 6,
	    deleted ? "\"type\":\"DELETE\",\"kv\":{\"key\":\"L2wvYWE=\",\"mod_revision\":\"6\"},\"prev_kv\":"
		    : "\"kv\":",
	    text);
}

static void
look(void)
{
	v3->look(protocol);
	fake_loop_run();
}

/* Who marks its key has held the lock, and ahead of that one there was nobody. */
static void
after_a_mark_our_key_is_all_that_is_read(void **state)
{
	const struct kv mine = (join_behind(&them), own(5, 5, lease)), mark = marked(6);

	(void)state;
	assert_false(reported(REPORT_PLACED)->place.far);
	follow();
	tell(&mark, false);
	assert_int_equal(reported(REPORT_VANISHED)->how, VANISH_RELEASED);
	look();
	assert_null(strstr(http_body(http_find("/v3/kv/range")), "range_end"));
	answer_look(6, &mine);
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 0);
	/* Nobody comes in ahead of us any more. */
	look();
	assert_null(strstr(http_body(http_find("/v3/kv/range")), "range_end"));
	answer_look(7, &mine);
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 0);
}

/* Somebody's data begins with a NUL. */
static void
data_that_looks_like_a_mark_is_none(void **state)
{
	struct kv data = marked(6);

	(void)state;
	join_behind(&them);
	reported(REPORT_PLACED);
	follow();
	data.lease = 0;
	tell(&data, false);
	nothing_is_reported();
	look();
	assert_true(http_is_out("range_end"));
	/* As it was when it was put. */
	data = marked(3);
	answer_page(6, &data, false);
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 1);
}

/* It does not know of those who had the lock since. */
static void
a_look_from_before_the_mark_is_none(void **state)
{
	const struct kv mine = (join_behind(&them), own(5, 5, lease)), mark = marked(6);

	(void)state;
	reported(REPORT_PLACED);
	follow();
	look();
	tell(&mark, false);
	assert_int_equal(reported(REPORT_VANISHED)->how, VANISH_RELEASED);
	answer_page(5, &them, false);
	nothing_is_reported();
	answer_look(7, &mine);
	assert_int_equal(reported(REPORT_PLACED)->place.revision, 7);
}

static void
after_an_end_without_one_the_queue_is(void **state)
{
	const struct kv older = { .key = "/l/ab", .value = "older", .len = 5, .create = 2, .mod = 2, .lease = 171 };

	(void)state;
	join_behind(&them);
	reported(REPORT_PLACED);
	follow();
	tell(&them, true);
	assert_int_equal(reported(REPORT_VANISHED)->how, VANISH_UNKNOWN);
	look();
	assert_true(http_is_out("\"limit\":\"18\",\"max_create_revision\":\"5\"}"));
	answer_page(6, &older, false);
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 1);
	assert_string_equal(((struct v3 *)protocol)->predecessor, "/l/ab");
	look();
	answer_page(7, NULL, false);
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 0);
}

/* Far behind, two keys by their names. */
static void
far_behind_two_keys_are_read(void **state)
{
	struct kv moved = them;
	const struct report *report;

	(void)state;
	join_far_behind(&them);
	report = reported(REPORT_PLACED);
	assert_true(report->place.far);
	assert_int_equal(report->place.ahead, 1);
	assert_null(report->place.holder);
	look();
	assert_true(http_is_out("\"key\":\"L2wvYWE=\""));
	assert_false(http_is_out("range_end"));
	answer_page(6, &them, false);
	assert_true(reported(REPORT_PLACED)->place.far);
	/* A key is moved by who is first, or next: there cannot be so many any more. */
	moved.mod = 7;
	look();
	answer_page(7, &moved, false);
	nothing_is_reported();
	assert_true(http_is_out("range_end"));
	answer_page(8, &moved, true);
	assert_true(reported(REPORT_PLACED)->place.far);
	/* It has gone, and no watch has told. */
	look();
	assert_false(http_is_out("range_end"));
	answer_page(9, NULL, false);
	nothing_is_reported();
	assert_true(http_is_out("range_end"));
}

static void
a_mark_that_is_read_ends_the_wait(void **state)
{
	const struct kv mark = marked(6);

	(void)state;
	join_far_behind(&them);
	reported(REPORT_PLACED);
	look();
	answer_page(6, &mark, false);
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 0);
}

/* To count so many would hold up the next one. */
static void
who_was_one_of_many_does_not_count_them(void **state)
{
	const struct kv mine = (join_far_behind(&them), own(5, 5, lease)), mark = marked(6);

	(void)state;
	reported(REPORT_PLACED);
	look();
	answer_page(6, &mark, false);
	reported(REPORT_PLACED);
	v3->hold(protocol);
	look();
	answer_look(7, &mine);
	reported(REPORT_PLACED);
	next_generation();
	v3->release(protocol, true);
	fake_loop_run();
	assert_false(http_is_out("count_only"));
	http_answer(http_find("/v3/kv/txn"), 200, "{" HEADER ",\"succeeded\":true,\"responses\":[{}]}", 8);
	step_aside_and_leave(9);
}

/* Keys of nobody's fill the first pages: who is ahead of us is behind them. */
static void
pages_are_read_until_there_is_somebody(void **state)
{
	const struct kv nobody = { .key = "/l/x/1", .value = "data", .len = 4, .create = 4, .mod = 4 };
	const struct kv other = { .key = "/l/x/2", .value = "", .len = 0, .create = 3, .mod = 3 };
	const struct report *report;

	(void)state;
	join_far_behind(&nobody);
	nothing_is_reported();
	assert_true(http_is_out("\"limit\":\"128\",\"max_create_revision\":\"4\",\"keys_only\":true}"));
	answer_page(6, &other, true);
	nothing_is_reported();
	assert_true(http_is_out("\"limit\":\"1024\",\"max_create_revision\":\"3\",\"keys_only\":true}"));
	/* One transaction has put more keys than a page has room for: none of them is a contender's. */
	answer_page(7, &other, true);
	assert_true(http_is_out("\"limit\":\"1024\",\"max_create_revision\":\"2\",\"keys_only\":true}"));
	answer_page(8, NULL, false);
	report = reported(REPORT_PLACED);
	assert_int_equal(report->place.ahead, 0);
	assert_int_equal(report->place.revision, 8);
}

static void
data_that_is_too_long_is_left_out(void **state)
{
	(void)state;
	join_behind(&them);
	reported(REPORT_PLACED);
	look();
	http_answer_too_long(http_find("max_create_revision"));
	nothing_is_reported();
	assert_true(http_is_out("\"limit\":\"18\",\"max_create_revision\":\"5\",\"keys_only\":true}"));
	answer_page(7, &them, false);
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 1);
}

/* The answer to a join was lost, and the next try shows our key alone: that is no place. */
static void
a_join_that_had_worked_is_no_place(void **state)
{
	struct kv mine;
	char text[256];

	(void)state;
	begin_join();
	http_answer_too_long(http_find("/v3/kv/txn"));
	reported(REPORT_TROUBLE);
	fake_loop_advance(100 * NSEC_PER_MSEC);
	mine = own(5, 5, lease);
	print_kv(text, sizeof(text), &mine);
	http_answer(
	    http_find("/v3/kv/txn"), 200, "{" HEADER ",\"responses\":[{\"response_range\":{\"kvs\":[%s]}}]}", 6, text);
	nothing_is_reported();
	assert_true(http_is_out("\"max_create_revision\":\"5\""));
	answer_page(7, &them, false);
	assert_int_equal(reported(REPORT_PLACED)->place.ahead, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_V3(after_a_mark_our_key_is_all_that_is_read),
		WITH_V3(data_that_looks_like_a_mark_is_none),
		WITH_V3(a_look_from_before_the_mark_is_none),
		WITH_V3(after_an_end_without_one_the_queue_is),
		WITH_V3(far_behind_two_keys_are_read),
		WITH_V3(a_mark_that_is_read_ends_the_wait),
		WITH_V3(who_was_one_of_many_does_not_count_them),
		WITH_V3(pages_are_read_until_there_is_somebody),
		WITH_V3(data_that_is_too_long_is_left_out),
		WITH_V3(a_join_that_had_worked_is_no_place),
	};

	return RUN_UNITS(tests);
}
