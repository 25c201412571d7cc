/* lock: what the v3 lock says to etcd, and its answers as etcd gives them and as it never should. */
#include "lock/v3/v3_messages.h"

#include "json.h"

#include <string.h>

static struct v3_names names;

static int
make_names(void **state)
{
	(void)state;
	return v3_names_init(&names, "/lock", "owner-a", 0x1234);
}

static int
free_names(void **state)
{
	(void)state;
	v3_names_free(&names);
	return 0;
}

static void
requests(void **state)
{
	(void)state;
	assert_string_equal(names.key, "/lock/1234");
	assert_json(v3_encode_grant(INT64_MAX, 60), "{\"ID\":\"9223372036854775807\",\"TTL\":\"60\"}");
	assert_json(v3_encode_lease(4660), "{\"ID\":\"4660\"}");
	assert_json(v3_encode_own(&names), "{\"key\":\"L2xvY2svMTIzNA==\"}");
	assert_json(v3_encode_pair(&names, "/lock/12"),
	    "{\"success\":[{\"request_range\":{\"key\":\"L2xvY2svMTIzNA==\"}},"
	    "{\"request_range\":{\"key\":\"L2xvY2svMTI=\"}}]}");
	assert_json(v3_encode_page(&names, 5, 18, true),
	    "{\"success\":[{\"request_range\":{\"key\":\"L2xvY2svMTIzNA==\"}},{\"request_range\":"
	    "{\"key\":\"L2xvY2sv\",\"range_end\":\"L2xvY2sw\",\"sort_order\":\"DESCEND\",\"sort_target\":\"CREATE\","
	    "\"limit\":\"18\",\"max_create_revision\":\"5\"}}]}");
	assert_json(v3_encode_page(&names, 5, 128, false),
	    "{\"success\":[{\"request_range\":{\"key\":\"L2xvY2svMTIzNA==\"}},{\"request_range\":"
	    "{\"key\":\"L2xvY2sv\",\"range_end\":\"L2xvY2sw\",\"sort_order\":\"DESCEND\",\"sort_target\":\"CREATE\","
	    "\"limit\":\"128\",\"max_create_revision\":\"5\",\"keys_only\":true}}]}");
	assert_json(v3_encode_list(&names, NULL, 128, true),
	    "{\"key\":\"L2xvY2sv\",\"range_end\":\"L2xvY2sw\",\"limit\":\"128\",\"keys_only\":false}");
	assert_json(v3_encode_move(&names, 7, 4661),
	    "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"L2xvY2svMTIzNA==\",\"mod_revision\":\"7\"}],"
	    "\"success\":[{\"request_put\":{\"key\":\"L2xvY2svMTIzNA==\",\"ignore_value\":true,\"lease\":\"4661\"}}],"
	    "\"failure\":[{\"request_range\":{\"key\":\"L2xvY2svMTIzNA==\"}}]}");
	assert_json(v3_encode_mark(&names, 5, true),
	    "{\"compare\":[{\"target\":\"CREATE\",\"result\":\"EQUAL\",\"key\":\"L2xvY2svMTIzNA==\","
	    "\"create_revision\":\"5\"}],\"success\":[{\"request_put\":{\"key\":\"L2xvY2svMTIzNA==\","
	    "\"value\":\"AG93bmVyLWE=\",\"ignore_lease\":true}},{\"request_range\":"
	    "{\"key\":\"L2xvY2sv\",\"range_end\":\"L2xvY2sw\",\"count_only\":true}}],\"failure\":[]}");
	assert_json(v3_encode_delete(&names, 5),
	    "{\"compare\":[{\"target\":\"CREATE\",\"result\":\"EQUAL\",\"key\":\"L2xvY2svMTIzNA==\","
	    "\"create_revision\":\"5\"}],\"success\":[{\"request_delete_range\":{\"key\":\"L2xvY2svMTIzNA==\"}}],"
	    "\"failure\":[]}");
}

static void
join_request_is_guarded(void **state)
{
	char *text = v3_encode_join(&names, 4660);
	json_t *txn = json(text), *compare = json_array_get(json_object_get(txn, "compare"), 0);

	(void)state;
	/* A misspelt guard would make it unconditional: etcd ignores fields that it does not know. */
	assert_int_equal(json_object_size(txn), 3);
	assert_string_equal(json_string_value(json_object_get(compare, "target")), "CREATE");
	assert_string_equal(json_string_value(json_object_get(compare, "create_revision")), "0");
	assert_int_equal(json_array_size(json_object_get(txn, "success")), 3);
	assert_int_equal(json_array_size(json_object_get(txn, "failure")), 1);
	json_decref(txn);
	free(text);
}

static void
queue_answer(void **state)
{
	/* /lock/12, /lock/x/34 (a nested name), /lock/1234, /lock/zz (no lease) */
	json_t *answer = json("{\"header\":{\"revision\":\"20\"},\"kvs\":[" KV("L2xvY2svMTI=", "3", "AGE=") "," KV(
	    "L2xvY2sveC8zNA==", "4", "YQ==") "," KV("L2xvY2svMTIzNA==", "5", "b3duZXItYQ==") "," KV("L2xvY2svenoh", "6",
	    "") "],\"count\":\"4\"}");
	struct v3_queue queue;

	(void)state;
	assert_null(v3_decode_queue(answer, &names, false, &queue));
	assert_int_equal(queue.revision, 20);
	assert_int_equal(queue.count, 2);
	assert_string_equal(queue.entries[0].key, "/lock/12");
	assert_true(v3_kv_released(&queue.entries[0]));
	assert_false(v3_kv_released(&queue.entries[1]));
	assert_int_equal(queue.entries[1].create_revision, 5);
	assert_int_equal(queue.entries[1].lease, 4660);
	v3_queue_free(&queue);
	json_decref(answer);
	answer = json("{\"header\":{\"revision\":\"20\"}}");
	assert_null(v3_decode_queue(answer, &names, false, &queue));
	assert_int_equal(queue.count, 0);
	v3_queue_free(&queue);
	json_decref(answer);
}

/* Our key by itself, and a page that has it as well, without values, and one of nobody's. */
static void
page_answer(void **state)
{
	json_t *answer = json("{\"header\":{\"revision\":\"20\"},\"responses\":[{\"response_range\":{\"kvs\":[" KV(
		   "L2xvY2svMTIzNA==", "7",
		   "b3duZXItYQ==") "]}},{\"response_range\":{\"more\":true,\"kvs\":[" KV("L2xvY2svMTIzNA==", "7",
		   "") "," KV("L2xvY2svMTI=", "5", "") "," KV("L2xvY2sveC8zNA==", "4", "") "]}}]}"),
	       *list, *next;
	struct v3_queue queue, more = { 0 };
	char *text;

	(void)state;
	assert_null(v3_decode_queue(answer, &names, true, &queue));
	assert_int_equal(queue.count, 2);
	assert_string_equal(queue.entries[0].key, "/lock/12");
	assert_string_equal(queue.entries[1].key, "/lock/1234");
	assert_string_equal(queue.entries[1].value, "owner-a");
	assert_true(queue.more);
	assert_int_equal(queue.lowest, 4);
	assert_int_equal(v3_queue_add(&more, &queue), 0);
	assert_int_equal(queue.count, 0);
	assert_int_equal(more.count, 2);
	text = v3_encode_gets(more.entries, 2);
	assert_string_equal(text,
	    "{\"success\":[{\"request_range\":{\"key\":\"L2xvY2svMTI=\"}},"
	    "{\"request_range\":{\"key\":\"L2xvY2svMTIzNA==\"}}]}");
	free(text);
	v3_queue_free(&more);
	json_decref(answer);
	/* The next key of a list is the last one with a NUL behind it: /lock/x/34\0. */
	list = json("{\"header\":{\"revision\":\"20\"},\"kvs\":[" KV("L2xvY2sveC8zNA==", "4", "") "]}");
	text = v3_encode_list(&names, list, 1000, false);
	next = json(text);
	assert_string_equal(json_string_value(json_object_get(next, "key")), "L2xvY2sveC8zNAA=");
	free(text);
	json_decref(next);
	json_decref(list);
}

static void
senseless_queues(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"header\":{}}",
		"{\"header\":{\"revision\":\"0\"}}",
		"{\"header\":{\"revision\":\"-3\"}}",
		"{\"header\":{\"revision\":\"9223372036854775808\"}}",
		"{\"header\":{\"revision\":\"1.0\"}}",
		"{\"header\":{\"revision\":\" 1\"}}",
		"{\"header\":{\"revision\":true}}",
		"{\"header\":{\"revision\":\"1\"},\"kvs\":{}}",
		"{\"header\":{\"revision\":\"1\"},\"kvs\":[1]}",
		"{\"header\":{\"revision\":\"1\"},\"kvs\":[{}]}",
		"{\"header\":{\"revision\":\"1\"},\"kvs\":[{\"key\":\"L2xv*2sv\"}]}",
		"{\"header\":{\"revision\":\"1\"},\"kvs\":[{\"key\":1}]}",
		"{\"header\":{\"revision\":\"1\"},\"responses\":[]}",
		"{\"header\":{\"revision\":\"1\"},\"no responses\":true}",
		"{\"header\":{\"revision\":\"1\"},\"responses\":[{\"response_put\":{}}]}",
		"{\"header\":{\"revision\":\"1\"},\"responses\":[{\"response_range\":{\"kvs\":1}}]}",
		"{\"header\":{\"revision\":\"1\"},\"kvs\":[" KV("L2xvY2svMTI=", "x", "") "]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *answer = json(bad[i]);
		struct v3_queue queue;

		if (v3_decode_queue(answer, &names, strstr(bad[i], "responses") != NULL, &queue) == NULL)
			fail_msg("accepted: %s", bad[i]);
		assert_null(queue.entries);
		json_decref(answer);
	}
}

static void
moves(void **state)
{
	struct v3_move move;
	json_t *answer = json("{\"header\":{\"revision\":\"8\"},\"succeeded\":true,\"responses\":[{}]}");

	(void)state;
	assert_null(v3_decode_move(answer, &move));
	assert_true(move.succeeded);
	assert_int_equal(move.revision, 8);
	json_decref(answer);
	answer = json("{\"header\":{\"revision\":\"9\"},\"responses\":[{\"response_range\":{\"kvs\":[" KV(
	    "L2xvY2svMTIzNA==", "5", "") "]}}]}");
	assert_null(v3_decode_move(answer, &move));
	assert_false(move.succeeded);
	assert_int_equal(move.kv.mod_revision, 9);
	v3_kv_free(&move.kv);
	json_decref(answer);
	answer = json("{\"header\":{\"revision\":\"8\"},\"responses\":[{\"response_range\":{}}]}");
	assert_null(v3_decode_move(answer, &move));
	assert_null(move.kv.key);
	json_decref(answer);
	answer = json("{\"header\":{\"revision\":\"8\"},\"succeeded\":\"true\",\"responses\":[]}");
	assert_non_null(v3_decode_move(answer, &move));
	json_decref(answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(requests, make_names, free_names),
		cmocka_unit_test_setup_teardown(join_request_is_guarded, make_names, free_names),
		cmocka_unit_test_setup_teardown(queue_answer, make_names, free_names),
		cmocka_unit_test_setup_teardown(page_answer, make_names, free_names),
		cmocka_unit_test_setup_teardown(senseless_queues, make_names, free_names),
		cmocka_unit_test_setup_teardown(moves, make_names, free_names),
	};

	return RUN_UNITS(tests);
}
