/* v3: renewals, by moves and by keepalives. */
#include "v3_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
a_renewal_moves_the_key(void **state)
{
	int64_t first;

	(void)state;
	hold();
	first = lease;
	fake_loop_advance(30 * NSEC_PER_SEC);
	v3->renew(protocol, true);
	v3->renew(protocol, true); /* it is under way */
	fake_loop_run();
	assert_int_equal(http_out(), 1);
	answer_grant(5);
	assert_non_null(strstr(http_body(http_find("/v3/kv/txn")), "\"ignore_value\":true"));
	assert_false(http_is_out("revoke"));
	http_answer(http_find("/v3/kv/txn"), 200, "{" HEADER ",\"succeeded\":true}", 6);
	assert_int_equal(reported(REPORT_RENEWED)->place.term.sent.boot, clock_now());
	/* Only now the old one goes. */
	assert_int_equal(strtoll(strstr(http_body(http_find("revoke")), ":\"") + 2, NULL, 10), first);
	http_answer(http_find("revoke"), 200, "{" HEADER "}", 7);
	assert_int_equal(http_out(), 0);
}

/* The holder's key is moved, and the answer to that is lost. */
static void
lose_the_answer_to_a_move(void)
{
	v3->renew(protocol, true);
	fake_loop_run();
	answer_grant(5);
	http_fail(http_find("/v3/kv/txn"), "lost", true);
	reported(REPORT_TROUBLE);
	fake_loop_advance(NSEC_PER_SEC);
}

static void
answer_full(struct http_request *request)
{
	http_answer(request, 429, "{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}");
}

static void
a_move_whose_answer_was_lost_is_recognised(void **state)
{
	struct kv moved;

	(void)state;
	hold();
	lose_the_answer_to_a_move();
	moved = own(5, 6, lease);
	answer_guard_failed(&moved);
	reported(REPORT_RENEWED);
}

static void
a_move_that_somebody_else_made_is_a_loss(void **state)
{
	struct kv moved;

	(void)state;
	hold();
	v3->renew(protocol, true);
	fake_loop_run();
	answer_grant(5);
	moved = own(5, 6, 1234);
	answer_guard_failed(&moved);
	reported(REPORT_KEY_GONE);
	assert_int_equal(http_out(), 0);
}

static void
a_full_etcd_gets_keepalives(void **state)
{
	(void)state;
	hold();
	v3->renew(protocol, true);
	fake_loop_run();
	answer_full(http_find("grant"));
	http_answer(http_find("keepalive"), 200, "{\"result\":{" HEADER ",\"ID\":\"1\",\"TTL\":\"60\"}}", 5);
	reported(REPORT_RENEWED);
}

static void
answer_keepalive(int64_t id)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "{\"ID\":\"%" PRId64 "\"}", id);
	assert_string_equal(http_body(http_find("keepalive")), wanted);
	http_answer(
	    http_find("keepalive"), 200, "{\"result\":{" HEADER ",\"ID\":\"%" PRId64 "\",\"TTL\":\"60\"}}", 5, id);
}

/* The answer to a move was lost, and then etcd is full: our key can be on either lease. */
static void
a_full_etcd_keeps_all_leases_alive_that_our_key_can_be_on(void **state)
{
	int64_t first;

	(void)state;
	hold();
	first = lease;
	lose_the_answer_to_a_move();
	answer_full(http_find("/v3/kv/txn"));
	answer_keepalive(first);
	nothing_is_reported();
	answer_keepalive(lease);
	reported(REPORT_RENEWED);
	assert_int_equal(http_out(), 0);
}

/* Etcd is full for longer than the lease that our key has been moved to unseen would last by itself. */
static void
a_lease_that_was_kept_alive_counts_from_then_on(void **state)
{
	struct kv moved;
	int64_t first, second;
	nsec sent;

	(void)state;
	hold();
	first = lease;
	lose_the_answer_to_a_move();
	second = lease;
	moved = own(5, 6, second);
	answer_full(http_find("/v3/kv/txn"));
	answer_keepalive(first);
	answer_keepalive(second);
	reported(REPORT_RENEWED);
	for (int i = 0; i < 2; i++) {
		fake_loop_advance(40 * NSEC_PER_SEC);
		v3->renew(protocol, true);
		fake_loop_run();
		answer_full(http_find("/v3/lease/grant"));
		sent = clock_now();
		answer_keepalive(first);
		answer_keepalive(second);
		reported(REPORT_RENEWED);
	}
	v3->renew(protocol, true);
	fake_loop_run();
	answer_grant(5);
	answer_guard_failed(&moved);
	assert_int_equal(reported(REPORT_RENEWED)->place.term.sent.boot, sent);
}

static void
a_keepalive_that_finds_no_lease_looks(void **state)
{
	(void)state;
	join_behind(&them);
	reported(REPORT_PLACED);
	v3->renew(protocol, false);
	fake_loop_run();
	http_answer(http_find("keepalive"), 200, "{\"result\":{" HEADER ",\"ID\":\"1\"}}", 5);
	reported(REPORT_TROUBLE);
	assert_true(http_is_out("max_create_revision"));
}

/* Etcd is full, our key has been moved unseen, and the lease that it was on has ended. */
static void
a_look_tells_a_waiter_which_lease_its_key_is_on(void **state)
{
	struct kv moved;

	(void)state;
	join_behind(NULL);
	reported(REPORT_PLACED);
	lose_the_answer_to_a_move();
	answer_full(http_find("/v3/kv/txn"));
	http_answer(http_find("keepalive"), 200, "{\"result\":{" HEADER ",\"ID\":\"1\"}}", 5);
	reported(REPORT_TROUBLE);
	moved = own(5, 6, lease);
	answer_look(7, &moved);
	reported(REPORT_PLACED);
	answer_keepalive(lease);
	reported(REPORT_RENEWED);
}

static void
a_look_that_beats_the_answer_to_a_move_is_no_loss(void **state)
{
	struct kv moved;

	(void)state;
	join_behind(NULL);
	reported(REPORT_PLACED);
	lose_the_answer_to_a_move();
	v3->look(protocol);
	fake_loop_run();
	moved = own(5, 6, lease);
	answer_look(7, &moved);
	reported(REPORT_PLACED);
	answer_guard_failed(&moved);
	reported(REPORT_RENEWED);
}

/* The TTL is made shorter: once a move to such a lease is out, no more than that lease can be counted on. */
static void
a_shorter_lease_counts_before_its_answer(void **state)
{
	const struct report *report;
	nsec sent;

	(void)state;
	hold();
	fake_loop_advance(NSEC_PER_SEC);
	contender.timing.ttl_s = 10;
	v3->renew(protocol, true);
	fake_loop_run();
	nothing_is_reported();
	sent = clock_now();
	answer_grant_of(5, 10);
	report = reported(REPORT_EXPOSED);
	assert_int_equal(report->place.term.ttl, 10 * NSEC_PER_SEC);
	assert_int_equal(report->place.term.sent.boot, sent);
	http_fail(http_find("/v3/kv/txn"), "lost", true);
	reported(REPORT_TROUBLE);
}

/* Likewise for a waiter that becomes the first meanwhile. */
static void
a_shorter_lease_counts_at_the_start(void **state)
{
	const struct kv mine = (join_behind(NULL), own(5, 5, lease));

	(void)state;
	reported(REPORT_PLACED);
	contender.timing.ttl_s = 10;
	v3->renew(protocol, true);
	fake_loop_run();
	answer_grant_of(5, 10);
	reported(REPORT_EXPOSED);
	v3->look(protocol);
	fake_loop_run();
	answer_look(7, &mine);
	assert_int_equal(reported(REPORT_PLACED)->place.term.ttl, 10 * NSEC_PER_SEC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_V3(a_renewal_moves_the_key),
		WITH_V3(a_move_whose_answer_was_lost_is_recognised),
		WITH_V3(a_move_that_somebody_else_made_is_a_loss),
		WITH_V3(a_full_etcd_gets_keepalives),
		WITH_V3(a_full_etcd_keeps_all_leases_alive_that_our_key_can_be_on),
		WITH_V3(a_lease_that_was_kept_alive_counts_from_then_on),
		WITH_V3(a_keepalive_that_finds_no_lease_looks),
		WITH_V3(a_look_tells_a_waiter_which_lease_its_key_is_on),
		WITH_V3(a_look_that_beats_the_answer_to_a_move_is_no_loss),
		WITH_V3(a_shorter_lease_counts_before_its_answer),
		WITH_V3(a_shorter_lease_counts_at_the_start),
	};

	return RUN_UNITS(tests);
}
