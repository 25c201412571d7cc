/* v3: the protocol, against answers that the test makes. */
#include "protocol_fixture.h"

#include "base/base64.h"
#include "lock/v3/v3_struct.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "\"header\":{\"cluster_id\":\"7\",\"revision\":\"%d\"}"

static const struct protocol *const v3 = &protocol_v3;

/* The lease of the last grant, and our key. */
static int64_t lease;
static char key[64];

static int
begin(void **state)
{
	(void)state;
	return contend(v3, false);
}

/* A key in an answer. */
struct kv {
	const char *key, *value;
	size_t len;
	int create, mod;
	int64_t lease;
};

static void
print_kv(char *to, size_t size, const struct kv *kv)
{
	char *key64 = base64_encode(kv->key, strlen(kv->key)), *value64 = base64_encode(kv->value, kv->len);

	snprintf(to, size,
	    "{\"key\":\"%s\",\"value\":\"%s\",\"create_revision\":\"%d\",\"mod_revision\":\"%d\",\"lease\":\"%" PRId64
	    "\"}",
	    key64, value64, kv->create, kv->mod, kv->lease);
	free(key64);
	free(value64);
}

static struct kv
own(int create, int mod, int64_t on)
{
	return (struct kv){ .key = key, .value = "me", .len = 2, .create = create, .mod = mod, .lease = on };
}

static const struct kv them = { .key = "/l/aa", .value = "them", .len = 4, .create = 3, .mod = 3, .lease = 170 };

static void
answer_grant(int revision)
{
	struct http_request *request = http_find("/v3/lease/grant");

	assert_int_equal(sscanf(http_body(request), "{\"ID\":\"%" SCNd64 "\"", &lease), 1);
	assert_non_null(strstr(http_body(request), "\"TTL\":\"60\""));
	http_answer(request, 200, "{" HEADER ",\"ID\":\"%" PRId64 "\",\"TTL\":\"60\"}", revision, lease);
}

/* Our key is put at revision 5, behind AHEAD where that is not NULL. */
static void
join_behind(const struct kv *ahead)
{
	char mine[256], theirs[256] = "";
	struct kv kv;

	next_generation();
	v3->join(protocol);
	fake_loop_run();
	answer_grant(4);
	snprintf(key, sizeof(key), "/l/%" PRIx64, (uint64_t)lease);
	reported(REPORT_GRANTED);
	kv = own(5, 5, lease);
	print_kv(mine, sizeof(mine), &kv);
	if (ahead != NULL)
		print_kv(theirs, sizeof(theirs), ahead);
	http_answer(http_find("/v3/kv/txn"), 200,
	    "{" HEADER
	    ",\"succeeded\":true,\"responses\":[{\"response_put\":{}},{\"response_range\":{\"kvs\":[%s%s%s]}}]}",
	    5, theirs, ahead == NULL ? "" : ",", mine);
}

static void
hold(void)
{
	join_behind(NULL);
	reported(REPORT_PLACED);
	v3->hold(protocol);
	fake_loop_run();
}

static void
answer_look(int revision, const struct kv *kv)
{
	char text[256] = "";

	if (kv != NULL)
		print_kv(text, sizeof(text), kv);
	http_answer(http_find("/v3/kv/range"), 200, "{" HEADER ",\"kvs\":[%s]}", revision, text);
}

/* A move was not made, for our key is KV at revision 6. */
static void
answer_guard_failed(const struct kv *kv)
{
	char text[256];

	print_kv(text, sizeof(text), kv);
	http_answer(
	    http_find("/v3/kv/txn"), 200, "{" HEADER ",\"responses\":[{\"response_range\":{\"kvs\":[%s]}}]}", 6, text);
}

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
	struct kv marked = them;

	(void)state;
	join_behind(&them);
	report = reported(REPORT_PLACED);
	assert_int_equal(report->place.ahead, 1);
	assert_string_equal(report->place.holder, "them");
	assert_string_equal(report->place.holder_key, "/l/aa");
	v3->follow(protocol);
	fake_loop_run();
	http_stream(http_find("/v3/watch"),
	    "{\"result\":{" HEADER ",\"created\":true}}{\"result\":{" HEADER ",\"created\":true,\"watch_id\":\"1\"}}",
	    5, 5);
	nothing_is_reported();
	/* Its key goes, and had the released mark. */
	marked.value = "\0them";
	marked.len = 5;
	print_kv(before, sizeof(before), &marked);
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
	struct kv marked = them;

	(void)state;
	marked.value = "\0them";
	marked.len = 5;
	join_behind(&marked);
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

/* --- renewals --- */

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
	assert_true(http_is_out("/v3/kv/range"));
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
	reported(REPORT_GIVEN);
	/* Who takes over looks first. */
	assert_int_equal(http_out(), 0);
	fake_loop_advance(10 * NSEC_PER_MSEC);
	http_answer(http_find("revoke"), 200, "{" HEADER "}", 7);
	reported(REPORT_GIVEN);
	reported(REPORT_RELEASED);
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
#define V3(test) cmocka_unit_test_setup_teardown(test, begin, stop_contending)
	const struct CMUnitTest tests[] = {
		V3(a_join_is_a_lease_and_a_key),
		V3(who_is_ahead_is_watched),
		V3(a_marked_key_is_not_ahead),
		V3(a_key_that_is_not_ours_any_more_is_gone),
		V3(a_late_look_says_nothing),
		V3(a_refused_join_sends_nothing_more),
		V3(a_lease_that_is_gone_is_asked_for_again),
		V3(no_memory_is_a_trouble),
		V3(a_renewal_moves_the_key),
		V3(a_move_whose_answer_was_lost_is_recognised),
		V3(a_move_that_somebody_else_made_is_a_loss),
		V3(a_full_etcd_gets_keepalives),
		V3(a_full_etcd_keeps_all_leases_alive_that_our_key_can_be_on),
		V3(a_keepalive_that_finds_no_lease_looks),
		V3(a_release_marks_and_revokes),
		V3(a_waiter_leaves_without_a_mark),
		V3(a_grant_that_is_out_is_waited_for),
		V3(what_etcd_never_heard_of_needs_no_revocation),
		V3(a_dead_process_is_reclaimed),
		V3(what_is_stopped_says_no_more),
	};

	return RUN_UNITS(tests);
}
