/* etcd: attempts, calls, credentials and watch streams, on a network that does what the test says. */
#include "fake_http.h"
#include "fake_loop.h"

#include "etcd/call.h"
#include "etcd/credentials.h"
#include "etcd/session.h"
#include "etcd/token.h"
#include "etcd/watch_stream.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define OK_ANSWER "{\"header\":{\"cluster_id\":\"7\",\"revision\":\"3\"}}"
#define BAD_TOKEN "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}"
#define LIMIT NSEC_PER_SEC

/* The first pause is over, and no hedge is due. */
#define A_MOMENT (100 * NSEC_PER_MSEC)

static struct session *session;

static int
open_session(const char *endpoints, const char *user)
{
	const struct tls tls = { 0 };
	const struct logger log = { 0 };
	const struct session_spec spec = { .endpoints = endpoints,
		.tls = &tls,
		.user = user,
		.password = user == NULL ? NULL : "secret",
		.token_limit = LIMIT };
	char why[256];

	session = session_new(NULL, &spec, &log, why, sizeof(why));
	return session == NULL ? -1 : 0;
}

static int
one_endpoint(void **state)
{
	(void)state;
	return open_session("a:1", NULL);
}

static int
two_endpoints(void **state)
{
	(void)state;
	return open_session("a:1,b:1", NULL);
}

static int
with_user(void **state)
{
	(void)state;
	return open_session("a:1", "kim");
}

static int
close_session(void **state)
{
	(void)state;
	session_free(session);
	/* Nothing is left behind. */
	return http_out() == 0 && fake_loop_timers() == 0 ? 0 : -1;
}

/* --- calls --- */

static struct call call;
static struct {
	size_t answers, troubles;
	enum verdict_kind kind;
	enum call_verdict reply;
	bool sent, hopeless;
	char text[CALL_TEXT];
} heard;

static enum call_verdict
on_answer(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	(void)arg;
	heard.answers++;
	heard.kind = verdict->kind;
	strcpy(heard.text, text);
	return heard.reply;
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	(void)arg;
	heard.troubles++;
	heard.sent = trouble->sent;
	heard.hopeless = trouble->hopeless;
	snprintf(heard.text, sizeof(heard.text), "%s", trouble->text);
}

static void
start(void)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble };

	memset(&heard, 0, sizeof(heard));
	call_init(&call, session, &owner);
	assert_int_equal(call_start(&call, "/v3/kv/range", strdup("{}"), LIMIT), 0);
	fake_loop_run();
}

static void
an_answer_ends_a_call(void **state)
{
	(void)state;
	start();
	assert_true(call_active(&call) && call_in_flight(&call));
	assert_string_equal(http_url(http_find("/v3/kv/range")), "http://a:1/v3/kv/range");
	http_answer(http_find("range"), 200, OK_ANSWER);
	assert_int_equal(heard.answers, 1);
	assert_int_equal(heard.kind, VERDICT_OK);
	assert_false(call_active(&call));
}

static void
what_passes_is_no_answer(void **state)
{
	(void)state;
	start();
	http_answer(http_find("range"), 503, "{\"error\":\"etcdserver: no leader\",\"code\":14}");
	assert_int_equal(heard.answers, 0);
	assert_int_equal(heard.troubles, 1);
	assert_true(heard.sent && !heard.hopeless);
	assert_non_null(strstr(heard.text, "a:1: etcdserver: no leader"));
	/* One endpoint: the round is over, and the next one waits a little. */
	assert_int_equal(http_out(), 0);
	fake_loop_advance(A_MOMENT);
	assert_int_equal(http_out(), 1);
	http_fail(http_find("range"), "refused", false);
	assert_false(heard.sent);
	call_stop(&call);
	fake_loop_advance(60 * NSEC_PER_SEC);
	assert_int_equal(http_out(), 0);
}

static void
a_failure_moves_to_the_next_endpoint(void **state)
{
	bool first;

	(void)state;
	start();
	first = http_is_out("//a:1/");
	http_fail(http_find("range"), "no answer", true);
	assert_true(http_is_out(first ? "//b:1/" : "//a:1/"));
	/* Once a try has failed, another is sent before this one is given up. */
	assert_int_equal(http_out(), 1);
	fake_loop_advance(LIMIT / 2);
	assert_int_equal(http_out(), 2);
	http_answer(http_find("range"), 200, OK_ANSWER);
	assert_int_equal(heard.answers, 1);
	assert_int_equal(http_out(), 0);
}

/* Other calls move what is current, too: that must not lead all tries of one call to one endpoint. */
static void
a_hedge_goes_where_no_try_is_out(void **state)
{
	(void)state;
	start();
	http_fail(http_find("range"), "no answer", true);
	endpoints_failed(session->endpoints, endpoints_current(session->endpoints));
	fake_loop_advance(LIMIT / 2);
	assert_true(http_is_out("//a:1/"));
	assert_true(http_is_out("//b:1/"));
	call_stop(&call);
}

static void
the_owner_may_have_it_repeated(void **state)
{
	(void)state;
	start();
	heard.reply = CALL_RETRY;
	http_answer(http_find("range"), 200, OK_ANSWER);
	assert_int_equal(heard.troubles, 1);
	assert_true(call_active(&call));
	heard.reply = CALL_DONE;
	fake_loop_advance(A_MOMENT);
	http_answer(http_find("range"), 200, OK_ANSWER);
	assert_false(call_active(&call));
}

static void
an_older_path_is_tried_once(void **state)
{
	(void)state;
	start();
	http_answer(http_find("//a:1/v3/kv/range"), 404, "404 page not found");
	assert_false(heard.hopeless);
	fake_loop_advance(A_MOMENT);
	http_answer(http_find("//a:1/v3beta/kv/range"), 404, "404 page not found");
	assert_true(heard.hopeless);
	call_stop(&call);
}

static void
no_memory_is_a_failed_try(void **state)
{
	(void)state;
	http_starve(1);
	start();
	assert_int_equal(heard.troubles, 0);
	assert_int_equal(http_out(), 1);
	http_answer(http_find("range"), 200, OK_ANSWER);
	assert_int_equal(heard.answers, 1);
}

/* --- credentials --- */

static void
give_token(const char *token)
{
	assert_string_equal(http_authorization(http_find("authenticate")), "");
	http_answer(http_find("authenticate"), 200, "{\"header\":{\"revision\":\"1\"},\"token\":\"%s\"}", token);
}

static void
a_token_goes_with_it(void **state)
{
	(void)state;
	start();
	assert_false(http_is_out("range"));
	assert_non_null(strstr(http_body(http_find("authenticate")), "\"password\":\"secret\""));
	give_token("one");
	assert_string_equal(http_authorization(http_find("range")), "one");
	/* Forgotten: another one, and the request again, at once. */
	http_answer(http_find("range"), 401, BAD_TOKEN);
	give_token("two");
	assert_int_equal(heard.troubles, 0);
	assert_string_equal(http_authorization(http_find("range")), "two");
	http_answer(http_find("range"), 200, OK_ANSWER);
	assert_int_equal(heard.answers, 1);
}

static void
two_requests_drop_one_token_once(void **state)
{
	struct call other;
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble };

	(void)state;
	start();
	give_token("one");
	call_init(&other, session, &owner);
	assert_int_equal(call_start(&other, "/v3/kv/txn", strdup("{}"), LIMIT), 0);
	http_answer(http_find("range"), 401, BAD_TOKEN);
	http_answer(http_find("txn"), 401, BAD_TOKEN);
	give_token("two");
	assert_false(http_is_out("authenticate"));
	http_answer(http_find("range"), 200, OK_ANSWER);
	http_answer(http_find("txn"), 200, OK_ANSWER);
	assert_int_equal(heard.answers, 2);
}

static void
a_password_that_is_refused_is_the_answer(void **state)
{
	(void)state;
	start();
	http_answer(http_find("authenticate"), 400,
	    "{\"error\":\"etcdserver: authentication failed, invalid user ID or password\",\"code\":3}");
	assert_int_equal(heard.answers, 1);
	assert_int_equal(heard.kind, VERDICT_REFUSED);
	assert_false(call_active(&call));
}

static void
an_etcd_without_users_wants_no_token(void **state)
{
	(void)state;
	start();
	http_answer(
	    http_find("authenticate"), 400, "{\"error\":\"etcdserver: authentication is not enabled\",\"code\":9}");
	assert_string_equal(http_authorization(http_find("range")), "");
	http_answer(http_find("range"), 200, OK_ANSWER);
	assert_int_equal(heard.answers, 1);
}

/* --- watch streams --- */

struct listener {
	struct watcher watcher;
	const char *key;
	size_t messages, failures;
	char why[64];
};

static size_t
encode(void *arg, char *requests[WATCHER_WATCHES])
{
	requests[0] = v3_encode_watch(((struct listener *)arg)->key, 5, false);
	return requests[0] != NULL;
}

static void
on_message(void *arg, const json_t *message)
{
	assert_true(json_is_object(message));
	((struct listener *)arg)->messages++;
}

static void
on_failed(void *arg, const char *why)
{
	struct listener *listener = arg;

	listener->failures++;
	snprintf(listener->why, sizeof(listener->why), "%s", why);
}

static void
listen_to(struct listener *listener, const char *key)
{
	*listener = (struct listener){ .key = key };
	listener->watcher =
	    (struct watcher){ .encode = encode, .on_message = on_message, .on_failed = on_failed, .arg = listener };
	watcher_open(session->watch_streams, &listener->watcher);
}

static void
watchers_share_a_stream(void **state)
{
	struct listener one, two;

	(void)state;
	listen_to(&one, "/a");
	listen_to(&two, "/b");
	fake_loop_run();
	assert_int_equal(http_out(), 1);
	http_stream(http_find("/v3/watch"), "{\"result\":{\"created\":true}}\n{\"result\":{\"created\":true,\"watch_");
	http_stream(http_find("/v3/watch"), "id\":\"1\"}}\n");
	assert_int_equal(one.messages, 1);
	assert_int_equal(two.messages, 1);
	/* Both are confirmed, so nobody gives the stream up for its silence. */
	fake_loop_advance(60 * NSEC_PER_SEC);
	assert_int_equal(http_out(), 1);
	watcher_close(&one.watcher);
	http_stream(
	    http_find("/v3/watch"), "{\"result\":{\"events\":[{}]}}{\"result\":{\"watch_id\":\"1\",\"events\":[{}]}}");
	assert_int_equal(one.messages, 1);
	assert_int_equal(two.messages, 2);
	watcher_close(&two.watcher);
	assert_int_equal(http_out(), 0);
}

static void
a_silent_stream_is_given_up(void **state)
{
	struct listener one;

	(void)state;
	listen_to(&one, "/a");
	fake_loop_advance(10 * NSEC_PER_SEC);
	assert_int_equal(one.failures, 1);
	assert_string_equal(one.why, "not confirmed in time");
	assert_int_equal(http_out(), 0);
}

/* What holds streams back lets requests through: its silence is not to lead them away. */
static void
a_silent_stream_moves_alone(void **state)
{
	struct listener one;
	struct endpoint *first = endpoints_current(session->endpoints);

	(void)state;
	listen_to(&one, "/a");
	fake_loop_run();
	assert_ptr_equal(watcher_endpoint(&one.watcher), first);
	fake_loop_advance(10 * NSEC_PER_SEC);
	assert_int_equal(one.failures, 1);
	assert_ptr_equal(endpoints_current(session->endpoints), first);
	listen_to(&one, "/a");
	fake_loop_run();
	assert_ptr_not_equal(watcher_endpoint(&one.watcher), first);
	watcher_close(&one.watcher);
}

static void
garbage_ends_a_stream(void **state)
{
	static const char *const bytes[] = { "]", "{\"result\":{\"watch_id\":\"9\"}}",
		"{\"result\":{\"watch_id\":\"-1\",\"canceled\":true,\"cancel_reason\":\"because\"}}", "{\"x\":1}",
		"{\"error\":{\"message\":\"gone\"}}" };
	struct listener one;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		listen_to(&one, "/a");
		fake_loop_run();
		http_stream(http_find("/v3/watch"), "%s", bytes[i]);
		assert_int_equal(one.failures, 1);
		assert_int_equal(http_out(), 0);
	}
	assert_string_equal(one.why, "gone");
}

static void
a_stream_can_lose_its_token(void **state)
{
	struct listener one;

	(void)state;
	listen_to(&one, "/a");
	fake_loop_run();
	give_token("one");
	fake_loop_advance(NSEC_PER_SEC);
	assert_string_equal(http_authorization(http_find("/v3/watch")), "one");
	http_stream(http_find("/v3/watch"),
	    "{\"result\":{\"watch_id\":\"-1\",\"canceled\":true,\"cancel_reason\":\"etcdserver: invalid auth token\"}}");
	assert_int_equal(one.failures, 1);
	give_token("two");
}

int
main(void)
{
#define ON(session, test) cmocka_unit_test_setup_teardown(test, session, close_session)
	const struct CMUnitTest tests[] = {
		ON(one_endpoint, an_answer_ends_a_call),
		ON(one_endpoint, what_passes_is_no_answer),
		ON(two_endpoints, a_failure_moves_to_the_next_endpoint),
		ON(one_endpoint, the_owner_may_have_it_repeated),
		ON(one_endpoint, an_older_path_is_tried_once),
		ON(one_endpoint, no_memory_is_a_failed_try),
		ON(with_user, a_token_goes_with_it),
		ON(with_user, two_requests_drop_one_token_once),
		ON(with_user, a_password_that_is_refused_is_the_answer),
		ON(with_user, an_etcd_without_users_wants_no_token),
		ON(one_endpoint, watchers_share_a_stream),
		ON(one_endpoint, a_silent_stream_is_given_up),
		ON(two_endpoints, a_hedge_goes_where_no_try_is_out),
		ON(two_endpoints, a_silent_stream_moves_alone),
		ON(one_endpoint, garbage_ends_a_stream),
		ON(with_user, a_stream_can_lose_its_token),
	};

	return RUN_UNITS(tests);
}
