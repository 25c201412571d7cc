/* etcd: the codecs of v3 and v2, tokens and the splitter of streams, on answers as etcd gives them and as it never
 * should. */
#include "base/base64.h"
#include "base/strbuf.h"
#include "etcd/json_stream.h"
#include "etcd/jwt.h"
#include "etcd/v2_codec.h"
#include "lock/v3/v3_messages.h"

#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
watch_request(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		char *text = v3_encode_watch("/lock/99", 8, before);
		json_t *object = json_loads(text, 0, NULL), *create = json_object_get(object, "create_request");

		assert_string_equal(json_string_value(json_object_get(create, "key")), "L2xvY2svOTk=");
		assert_string_equal(json_string_value(json_object_get(create, "start_revision")), "8");
		assert_int_equal(json_is_true(json_object_get(create, "prev_kv")), before);
		json_decref(object);
		free(text);
	}
}

static void
grants_and_keepalives(void **state)
{
	json_t *answer = json("{\"header\":{},\"ID\":\"4660\",\"TTL\":\"10\"}");
	struct v3_grant grant;
	int64_t ttl;

	(void)state;
	assert_null(v3_decode_grant(answer, &grant));
	assert_int_equal(grant.lease, 4660);
	assert_int_equal(grant.ttl_s, 10);
	json_decref(answer);
	for (int i = 0; i < 4; i++) {
		static const char *const bad[] = { "{\"ID\":\"1\"}", "{\"ID\":\"1\",\"TTL\":\"-1\"}",
			"{\"ID\":\"1\",\"TTL\":\"NaN\"}", "{\"ID\":\"1\",\"TTL\":\"9000000001\"}" };

		answer = json(bad[i]);
		assert_non_null(v3_decode_grant(answer, &grant));
		json_decref(answer);
	}
	answer = json("{\"result\":{\"header\":{},\"ID\":\"4660\"}}");
	assert_null(v3_decode_keepalive(answer, &ttl));
	assert_int_equal(ttl, 0);
	json_decref(answer);
	answer = json("{\"ID\":\"4660\",\"TTL\":\"5\"}");
	assert_non_null(v3_decode_keepalive(answer, &ttl));
	json_decref(answer);
}

static void
watch_messages(void **state)
{
	struct v3_watch_message message;
	struct v3_event event;
	json_t *object =
	    json("{\"result\":{\"header\":{\"revision\":\"19\"},\"events\":[{\"type\":\"DELETE\",\"kv\":{\"key\":"
		 "\"L2xvY2svMTIzNA==\",\"mod_revision\":\"19\"},\"prev_kv\":" KV(
		     "L2xvY2svMTIzNA==", "2", "AGE=") "},{"
						      "\"kv\":" KV("L2xvY2svMTI=", "3", "YQ==") "}]}}");

	(void)state;
	assert_null(v3_decode_watch(object, &message));
	assert_int_equal(message.events, 2);
	assert_null(message.ended);
	assert_null(v3_decode_event(object, 0, &event));
	assert_true(event.deleted);
	assert_true(v3_kv_released(&event.before));
	v3_event_free(&event);
	assert_null(v3_decode_event(object, 1, &event));
	assert_false(event.deleted);
	assert_null(event.before.key);
	v3_event_free(&event);
	json_decref(object);
}

static void
watch_endings(void **state)
{
	static const struct {
		const char *text, *ended;
		int64_t compacted;
	} cases[] = {
		{ "{\"result\":{\"header\":{},\"canceled\":true,\"compact_revision\":\"20\"}}", "compacted", 20 },
		{ "{\"result\":{\"header\":{},\"compact_revision\":\"20\"}}", "compacted", 20 },
		{ "{\"result\":{\"header\":{},\"watch_id\":\"-1\",\"created\":true,\"canceled\":true,\"cancel_reason\":\"rpc error: "
		  "bad token\"}}",
		    "bad token", 0 },
		{ "{\"error\":{\"grpc_code\":14,\"message\":\"etcdserver: no leader\"}}", "no leader", 0 },
		{ "{\"error\":{\"code\":14}}", "without a message", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *object = json(cases[i].text);
		struct v3_watch_message message;

		assert_null(v3_decode_watch(object, &message));
		assert_non_null(message.ended);
		assert_non_null(strstr(message.ended, cases[i].ended));
		assert_false(message.created);
		assert_int_equal(message.compact_revision, cases[i].compacted);
		json_decref(object);
	}
}

static void
verdicts(void **state)
{
	static const struct {
		long status;
		const char *body;
		enum verdict_kind verdict;
		const char *text;
	} cases[] = {
		{ 200, "{\"header\":{\"revision\":\"1\"}}", VERDICT_OK, "" },
		{ 200, "{\"result\":{\"header\":{},\"ID\":\"1\"}}\n", VERDICT_OK, "" },
		{ 404,
		    "{\"error\":\"etcdserver: requested lease not found\",\"message\":\"etcdserver: requested lease not found\","
		    "\"code\":5}",
		    VERDICT_LEASE_GONE, "lease not found" },
		{ 404, "{\"code\":5,\"message\":\"etcdserver: requested lease not found\"}", VERDICT_LEASE_GONE, "" },
		{ 404, "{\"error\":\"etcdserver: requested lease not found\",\"code\":5}", VERDICT_LEASE_GONE, "" },
		{ 404, "{\"code\":5,\"message\":\"Not Found\"}", VERDICT_NOT_ETCD, "Not Found" },
		{ 412, "{\"message\":\"etcdserver: lease already exists\",\"code\":9}", VERDICT_LEASE_EXISTS, "" },
		{ 400, "{\"message\":\"etcdserver: authentication is not enabled\",\"code\":9}", VERDICT_NO_AUTH, "" },
		{ 401, "{\"message\":\"etcdserver: invalid auth token\",\"code\":16}", VERDICT_UNAUTHENTICATED,
		    "token" },
		{ 400, "{\"message\":\"etcdserver: user name is empty\",\"code\":3}", VERDICT_UNAUTHENTICATED, "" },
		{ 400, "{\"message\":\"etcdserver: revision of auth store is old\",\"code\":3}",
		    VERDICT_UNAUTHENTICATED, "" },
		{ 400, "CommonName of client sending a request against gateway will be ignored", VERDICT_REFUSED,
		    "(CN)" },
		{ 503, "{\"message\":\"etcdserver: no leader\",\"code\":14}", VERDICT_TRANSIENT, "no leader" },
		{ 500, "{\"message\":\"context deadline exceeded\",\"code\":2}", VERDICT_TRANSIENT, "" },
		{ 429, "{\"message\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}", VERDICT_NO_SPACE,
		    "space" },
		{ 429, "{\"message\":\"etcdserver: too many requests\",\"code\":8}", VERDICT_TRANSIENT, "" },
		{ 403, "{\"message\":\"etcdserver: permission denied\",\"code\":7}", VERDICT_REFUSED,
		    "permission denied" },
		{ 200, "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"transport is closing\"}}",
		    VERDICT_TRANSIENT, "transport is closing" },
		{ 404, "404 page not found\n", VERDICT_NOT_ETCD, "404 page not found" },
		{ 200, "<html>\x1b[2J</html>", VERDICT_NOT_ETCD, "<html>?[2J" },
		{ 200, "", VERDICT_NOT_ETCD, "HTTP status 200" },
		{ 200, "[]", VERDICT_NOT_ETCD, "" },
		{ 200, "{}", VERDICT_NOT_ETCD, "" },
		{ 200, "{\"header\":{},\"header\":{}}", VERDICT_NOT_ETCD, "" },
		{ 502, "Bad Gateway", VERDICT_TRANSIENT, "502" },
		{ 301, "", VERDICT_NOT_ETCD, "301" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *answer;
		char text[VERDICT_TEXT] = "";
		enum verdict_kind verdict =
		    v3_classify(cases[i].status, cases[i].body, strlen(cases[i].body), &answer, text);

		if (verdict != cases[i].verdict || strstr(text, cases[i].text) == NULL)
			fail_msg("%s: verdict %d, text '%s'", cases[i].body, (int)verdict, text);
		assert_int_equal(answer != NULL, verdict == VERDICT_OK);
		json_decref(answer);
	}
}

/* The stream in pieces of every length gives the same objects. */
static void
streams_split_anywhere(void **state)
{
	const char *text = " {\"a\":\"}{\\\"\\\\\"}\n{\"b\":[{},[]]}{\"c\":1}";

	(void)state;
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		struct json_stream stream = { 0 };
		json_error_t error;
		json_t *object;
		int objects = 0;

		for (size_t at = 0; at < strlen(text); at += piece) {
			size_t len = strlen(text) - at < piece ? strlen(text) - at : piece;

			assert_int_equal(json_stream_feed(&stream, text + at, len, 1000), 0);
			while (json_stream_next(&stream, &object, &error) == 1) {
				assert_int_equal(json_object_size(object), 1);
				json_decref(object);
				objects++;
			}
		}
		assert_int_equal(objects, 3);
		json_stream_reset(&stream);
	}
}

static void
streams_that_are_none(void **state)
{
	static const char *const bad[] = { "[1]", "x", "}", "{a}", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "\"{}\"" };
	struct json_stream stream = { 0 };
	json_error_t error;
	json_t *object;
	char nul = '\0';

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(json_stream_feed(&stream, bad[i], strlen(bad[i]), 1000), 0);
		assert_int_equal(json_stream_next(&stream, &object, &error), -1);
		json_stream_reset(&stream);
	}
	assert_int_equal(json_stream_feed(&stream, &nul, 1, 1000), 0);
	assert_int_equal(json_stream_next(&stream, &object, &error), -1);
	json_stream_reset(&stream);
	assert_int_equal(json_stream_feed(&stream, "{\"aaaaaaa", 9, 10), 0);
	assert_int_equal(json_stream_feed(&stream, "aa", 2, 10), -1);
	assert_int_equal(errno, EMSGSIZE);
	json_stream_reset(&stream);
}

static void
v2_verdicts(void **state)
{
	static const struct {
		long status;
		const char *body;
		enum verdict_kind verdict;
		const char *says;
	} cases[] = {
		{ 201,
		    "{\"action\":\"create\",\"node\":{\"key\":\"/l\",\"value\":\"a\",\"modifiedIndex\":4,\"createdIndex\":4}}",
		    VERDICT_OK, "" },
		{ 412, "{\"errorCode\":105,\"message\":\"Key already exists\",\"cause\":\"/l\",\"index\":4}",
		    VERDICT_KEY_EXISTS, "Key already exists (/l)" },
		{ 412, "{\"errorCode\":101,\"message\":\"Compare failed\",\"cause\":\"[3 != 4]\",\"index\":6}",
		    VERDICT_MISMATCH, "Compare failed" },
		{ 404, "{\"errorCode\":100,\"message\":\"Key not found\"}", VERDICT_NO_KEY, "Key not found ()" },
		{ 400, "{\"errorCode\":401,\"index\":1040}", VERDICT_OUTDATED, "an error without a message" },
		{ 401, "{\"errorCode\":110,\"message\":\"m\"}", VERDICT_UNAUTHENTICATED, "m" },
		{ 500, "{\"errorCode\":300,\"message\":\"Raft\"}", VERDICT_TRANSIENT, "Raft" },
		{ 403, "{\"errorCode\":102,\"message\":\"Not a file\"}", VERDICT_REFUSED, "Not a file" },
		/* What none says. */
		{ 200, "{\"action\":\"get\",\"node\":{\"value\":\"a\"}}", VERDICT_TRANSIENT, "makes no sense" },
		{ 200, "{\"action\":\"get\",\"node\":{\"value\":7,\"modifiedIndex\":-3}}", VERDICT_TRANSIENT,
		    "makes no sense" },
		{ 200, "{\"action\":\"get\",\"node\":{\"modifiedIndex\":\"4\"}}", VERDICT_TRANSIENT, "makes no sense" },
		{ 200, "{\"action\":\"get\",\"node\":[]}", VERDICT_NOT_ETCD, "no etcd v2" },
		{ 200, "{\"node\":{\"modifiedIndex\":4}}", VERDICT_NOT_ETCD, "no etcd v2" },
		{ 200, "{\"errorCode\":\"100\"}", VERDICT_NOT_ETCD, "no etcd v2" },
		{ 200, "[]", VERDICT_NOT_ETCD, "no etcd v2" },
		{ 200, "", VERDICT_NOT_ETCD, "no etcd v2" },
		{ 404, "404 page not found\n", VERDICT_NOT_ETCD, "--enable-v2" },
		{ 503, "<html>\033[2J", VERDICT_TRANSIENT, "HTTP status 503: <html>?[2J" },
		{ 200, "{\"action\":\"get\",\"action\":\"set\"}", VERDICT_NOT_ETCD, "no etcd v2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v2_answer answer;
		char text[VERDICT_TEXT];

		enum verdict_kind kind =
		    v2_classify(cases[i].status, cases[i].body, strlen(cases[i].body), &answer, text);

		if (kind != cases[i].verdict || strstr(text, cases[i].says) == NULL)
			fail_msg("%s: %d, %s", cases[i].body, (int)kind, text);
		v2_answer_free(&answer);
	}
}

static void
v2_nodes(void **state)
{
	static const struct {
		const char *ttl;
		int64_t left;
	} cases[] = { { "60", 60 }, { "0", 0 }, { "-5", 0 }, { "9223372036854775807", 0 }, { "\"60\"", 0 },
		{ "1e300", 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v2_answer answer;
		char text[VERDICT_TEXT];
		char *body = str_printf(
		    "{\"action\":\"expire\",\"node\":{\"modifiedIndex\":9,\"createdIndex\":7,\"dir\":true,\"ttl\":%s}}",
		    cases[i].ttl);

		assert_non_null(body);
		assert_int_equal(v2_classify(200, body, strlen(body), &answer, text), VERDICT_OK);
		assert_string_equal(answer.action, "expire");
		assert_string_equal(answer.node.value, "");
		assert_true(answer.node.directory);
		assert_int_equal(answer.node.created, 7);
		assert_int_equal(answer.node.modified, 9);
		assert_int_equal(answer.node.ttl_s, cases[i].left);
		v2_answer_free(&answer);
		free(body);
	}
}

static void
v2_paths(void **state)
{
	const struct {
		char *made;
		const char *wanted;
	} cases[] = {
		{ v2_encode_create("/l", "a b&c=d/\xc3\xa4", 60),
		    "/v2/keys/l?prevExist=false&ttl=60&value=a%20b%26c%3Dd%2F%C3%A4" },
		{ v2_encode_create("l ?#", "", 1), "/v2/keys/l%20%3F%23?prevExist=false&ttl=1&value=" },
		{ v2_encode_refresh("/a/b", "me too", 7, 60),
		    "/v2/keys/a/b?prevExist=true&prevIndex=7&ttl=60&refresh=true&prevValue=me%20too" },
		{ v2_encode_refresh("/a/b", "", 7, 60), "/v2/keys/a/b?prevExist=true&prevIndex=7&ttl=60&refresh=true" },
		{ v2_encode_read("/l"), "/v2/keys/l?quorum=true" },
		{ v2_encode_wait("/l", INT64_MAX), "/v2/keys/l?wait=true&waitIndex=9223372036854775807" },
		{ v2_encode_delete("/l", "me", 7), "/v2/keys/l?prevIndex=7&prevValue=me" },
		{ v2_encode_delete("/l", "", 7), "/v2/keys/l?prevIndex=7" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_non_null(cases[i].made);
		assert_string_equal(cases[i].made, cases[i].wanted);
		free(cases[i].made);
	}
}

/* The seconds left of a token with CLAIMS, at the time 1000. */
static int32_t
seconds_left(const char *claims)
{
	char *base64 = base64_encode(claims, strlen(claims)), *token;
	int32_t left;

	assert_non_null(base64);
	base64[strcspn(base64, "=")] = '\0';
	for (char *c = base64; *c != '\0'; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	token = str_printf("e30.%s.c2ln", base64);
	assert_non_null(token);
	left = jwt_seconds_left(token, 1000);
	free(token);
	free(base64);
	return left;
}

static void
token_expiry(void **state)
{
	(void)state;
	assert_int_equal(seconds_left("{\"exp\":1300}"), 300);
	assert_int_equal(seconds_left("{\"exp\":1300.5}"), 300);
	/* Every length of padding, and the two characters that are other ones there. */
	assert_int_equal(seconds_left("{\"exp\":1300} "), 300);
	assert_int_equal(seconds_left("{\"exp\":1300}  "), 300);
	assert_int_equal(seconds_left("{\"exp\":1300,\"n\":\"~~?>>>???\"}"), 300);
	assert_int_equal(seconds_left("{\"exp\":1000}"), 0);
	assert_int_equal(seconds_left("{\"exp\":3}"), 0);
	assert_int_equal(seconds_left("{\"exp\":\"1300\"}"), 0);
	assert_int_equal(seconds_left("{\"exp\":1300,\"exp\":1400}"), 0);
	assert_int_equal(seconds_left("{}"), 0);
	assert_int_equal(seconds_left("[]"), 0);
	assert_int_equal(seconds_left("no JSON"), 0);
	/* What an honest one never says. */
	assert_int_equal(seconds_left("{\"exp\":9223372036854775807}"), 0);
	assert_int_equal(seconds_left("{\"exp\":-9223372036854775808}"), 0);
	assert_int_equal(seconds_left("{\"exp\":1e300}"), 0);
	assert_int_equal(seconds_left("{\"exp\":-1e300}"), 0);
	assert_int_equal(jwt_seconds_left("CLweCIPfZVNVuOwK.18", 1000), 0);
	assert_int_equal(jwt_seconds_left("a.!!!.b", 1000), 0);
	assert_int_equal(jwt_seconds_left("..", 1000), 0);
	assert_int_equal(jwt_seconds_left("", 1000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watch_request),
		cmocka_unit_test(grants_and_keepalives),
		cmocka_unit_test(watch_messages),
		cmocka_unit_test(watch_endings),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(v2_verdicts),
		cmocka_unit_test(v2_nodes),
		cmocka_unit_test(v2_paths),
		cmocka_unit_test(token_expiry),
		cmocka_unit_test(streams_split_anywhere),
		cmocka_unit_test(streams_that_are_none),
	};

	return RUN_UNITS(tests);
}
