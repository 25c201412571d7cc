/* Who has a lock, and who waits for it: a look from outside, that takes no part. */
#include "base/duration.h"
#include "lock/call.h"
#include "lock/config.h"
#include "lock/timing.h"
#include "lock/v2_codec.h"
#include "lock/v3_codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY_LIMIT NSEC_PER_SEC

enum query_stage { QUERY_QUEUE, QUERY_LEASE, QUERY_KEY };

struct etcdlock_query {
	struct etcdlock_client *client;
	char *key;
	struct v3_names names;
	etcdlock_query_fn done;
	void *arg;
	enum query_stage stage;
	struct call call;
	struct timer limit;
	int64_t limit_ms;
	char trouble[CALL_TEXT + 128]; /* the last try that failed */
	bool answered;                 /* and what was wrong was the answer */
	struct v3_queue queue;         /* v3: without those that have released */
	char *holder;                  /* v2 */
	struct etcdlock_contender *contenders;
	size_t count;
	struct loop_event *deliver;
	bool failed;
	char error[CALL_TEXT + 256];
};

static void
finish(struct etcdlock_query *query, const char *error)
{
	call_stop(&query->call);
	timer_disarm(query->client->loop, &query->limit);
	query->failed = error != NULL;
	snprintf(query->error, sizeof(query->error), "%s", error == NULL ? "" : error);
	loop_event_activate(query->deliver);
}

/* With nothing of ours on the stack: what is called may free everything. */
static void
on_deliver(int fd, short what, void *arg)
{
	struct etcdlock_query *query = arg;

	(void)fd;
	(void)what;
	query->done(
	    query->arg, query->contenders, query->failed ? 0 : query->count, query->failed ? query->error : NULL);
}

static void
on_limit(void *arg)
{
	struct etcdlock_query *query = arg;
	char text[sizeof(query->trouble) + 64], span[DURATION_TEXT];

	snprintf(text, sizeof(text), "%s for %s%s%s",
	    query->answered ? "etcd has not answered as it should" : "no answer from etcd",
	    duration_text(query->limit_ms * NSEC_PER_MSEC, span), query->trouble[0] != '\0' ? ": " : "",
	    query->trouble);
	finish(query, text);
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct etcdlock_query *query = arg;

	snprintf(query->trouble, sizeof(query->trouble), "%s", trouble->text);
	query->answered = trouble->answered;
	if (trouble->hopeless)
		finish(query, trouble->text);
}

/* Where memory was short for a request. */
static enum call_verdict
start(struct etcdlock_query *query, enum query_stage stage, const char *path, char *body)
{
	query->stage = stage;
	if (call_start(&query->call, path, body, TRY_LIMIT) == -1)
		finish(query, "no memory for a request");
	return CALL_DONE;
}

/* --- v3 --- */

/* The holder is the first that has not said that its work is over. */
static bool
take_queue(struct etcdlock_query *query)
{
	struct v3_queue *queue = &query->queue;

	query->contenders = calloc(queue->count + 1, sizeof(*query->contenders));
	if (query->contenders == NULL)
		return false;
	for (size_t i = 0; i < queue->count; i++) {
		const struct v3_kv *kv = &queue->entries[i];

		if (!v3_kv_released(kv))
			query->contenders[query->count++] = (struct etcdlock_contender){
				.id = kv->value,
				.key = kv->key,
				.revision = kv->create_revision,
				.left_ms = -1,
				.no_lease = kv->lease == 0,
			};
	}
	return true;
}

static int64_t
holders_lease(const struct etcdlock_query *query)
{
	for (size_t i = 0; query->count > 0 && i < query->queue.count; i++)
		if (query->queue.entries[i].key == query->contenders[0].key)
			return query->queue.entries[i].lease;
	return 0;
}

static enum call_verdict
on_queue(struct etcdlock_query *query, const json_t *answer, char text[CALL_TEXT])
{
	const char *wrong = v3_decode_queue(answer, &query->names, false, &query->queue);
	int64_t lease;

	if (wrong != NULL) {
		snprintf(text, CALL_TEXT, "an answer makes no sense: %s", wrong);
		return CALL_RETRY;
	}
	if (!take_queue(query)) {
		finish(query, "no memory for the queue");
		return CALL_DONE;
	}
	lease = holders_lease(query);
	if (lease != 0)
		return start(query, QUERY_LEASE, "/v3/kv/lease/timetolive", v3_encode_lease(lease));
	finish(query, NULL);
	return CALL_DONE;
}

static enum call_verdict
on_v3_answer(struct etcdlock_query *query, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	enum call_verdict verdict = CALL_DONE;
	int64_t left_s = -1;
	json_t *answer;

	switch (v3_judge(status, body, len, &answer, text)) {
	case V3_OK:
		break;
	case V3_TRANSIENT:
		return CALL_RETRY;
	case V3_NOT_ETCD:
		return client_not_found(query->client, status) ? CALL_RETRY : CALL_UNUSABLE;
	case V3_UNAUTHENTICATED:
		if (query->client->auth != NULL)
			return CALL_UNAUTHORIZED;
		client_explain(query->client, query->key, text, CALL_TEXT);
		finish(query, text);
		return CALL_DONE;
	case V3_NO_AUTH:
	case V3_REFUSED:
	case V3_NO_SPACE:
	case V3_LEASE_GONE:
	case V3_LEASE_EXISTS:
		client_explain(query->client, query->key, text, CALL_TEXT);
		/* A lease that has gone meanwhile is one that there is no time left of. */
		finish(query, query->stage == QUERY_LEASE ? NULL : text);
		return CALL_DONE;
	}
	if (query->stage == QUERY_QUEUE) {
		verdict = on_queue(query, answer, text);
	} else {
		if (v3_decode_time_left(answer, &left_s) == NULL && left_s >= 0)
			query->contenders[0].left_ms = left_s * 1000;
		finish(query, NULL);
	}
	json_decref(answer);
	return verdict;
}

/* --- v2 --- */

static enum call_verdict
on_v2_answer(struct etcdlock_query *query, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	enum call_verdict verdict = CALL_DONE;
	struct v2_answer answer;

	v2_judge(status, body, len, &answer, text);
	if (answer.verdict == V2_NOT_ETCD) {
		verdict = CALL_UNUSABLE;
	} else if (answer.verdict == V2_TRANSIENT) {
		verdict = CALL_RETRY;
	} else if (answer.verdict == V2_OK && !answer.node.directory) {
		query->contenders = calloc(1, sizeof(*query->contenders));
		query->holder = answer.node.value;
		answer.node.value = NULL;
		query->count = query->contenders != NULL;
		if (query->count > 0)
			*query->contenders = (struct etcdlock_contender){
				.id = query->holder,
				.key = query->key,
				.revision = answer.node.created,
				.left_ms = answer.node.ttl_s > 0 ? answer.node.ttl_s * 1000 : -1,
			};
		finish(query, query->count > 0 ? NULL : "no memory for the holder");
	} else if (answer.verdict == V2_NONE) {
		finish(query, NULL);
	} else {
		finish(query, answer.verdict == V2_OK ? "the key is a directory in etcd" : text);
	}
	v2_answer_free(&answer);
	return verdict;
}

static enum call_verdict
on_answer(void *arg, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	struct etcdlock_query *query = arg;

	if (query->stage == QUERY_KEY)
		return on_v2_answer(query, status, body, len, text);
	return on_v3_answer(query, status, body, len, text);
}

/* --- public --- */

struct etcdlock_query *
etcdlock_query_new(
    struct etcdlock_client *client, const struct etcdlock_config *config, etcdlock_query_fn done, void *arg)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble };
	struct etcdlock_query *query;
	char why[1];
	int begun;

	if (etcdlock_config_check(config, why, sizeof(why)) == -1)
		return NULL;
	query = calloc(1, sizeof(*query));
	if (query == NULL)
		return NULL;
	query->client = client;
	query->done = done;
	query->arg = arg;
	query->limit_ms = timing_connect_ms(&config->timing, true);
	query->key = strdup(config->key);
	timer_init(&query->limit, on_limit, query);
	call_init(&query->call, client, &owner);
	query->call.owner.arg = query;
	query->stage = config->v2 ? QUERY_KEY : QUERY_QUEUE;
	query->deliver = loop_event(client->loop, -1, 0, PRIORITY_REST, on_deliver, query);
	if (query->key == NULL || query->deliver == NULL ||
	    v3_names_init(&query->names, config->key, etcdlock_config_id(config), 0) == -1)
		begun = -1;
	else if (config->v2)
		begun = call_request(&query->call, "GET", v2_encode_read(query->key), false, TRY_LIMIT);
	else
		begun = call_start(&query->call, "/v3/kv/range", v3_encode_queue(&query->names), TRY_LIMIT);
	if (begun == -1) {
		etcdlock_query_free(query);
		errno = ENOMEM;
		return NULL;
	}
	timer_arm(client->loop, &query->limit, clock_now() + query->limit_ms * NSEC_PER_MSEC);
	return query;
}

void
etcdlock_query_free(struct etcdlock_query *query)
{
	if (query == NULL)
		return;
	call_stop(&query->call);
	timer_disarm(query->client->loop, &query->limit);
	if (query->deliver != NULL)
		loop_event_free(query->deliver);
	v3_queue_free(&query->queue);
	v3_names_free(&query->names);
	free(query->contenders);
	free(query->holder);
	free(query->key);
	free(query);
}
