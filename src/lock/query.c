/* A query looks at a lock from outside, and takes no part: it tells the holder, and the waiters. */
#include "base/duration.h"
#include "etcd/call.h"
#include "lock/client.h"
#include "lock/config.h"
#include "lock/v3/v3_messages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY_LIMIT NSEC_PER_SEC

/* What one request reads: of a queue that is short, all; else its keys, and then the values of those that count. */
#define SHORT_QUEUE 128
#define KEYS_AT_ONCE 1000
#define VALUES_AT_ONCE 100

/* What CALL is about: under way or, where it is not active, to be sent next. */
enum query_step {
	QUERY_QUEUE,  /* v3: all contenders, if they are few */
	QUERY_KEYS,   /* v3: their keys, a page at a time */
	QUERY_VALUES, /* v3: their values, some at a time */
	QUERY_LEASE,  /* v3: what is left of the holder's lease */
	QUERY_KEY,    /* v2: the key */
	QUERY_OVER
};

struct etcdlock_query {
	struct session *session;
	char *key;
	struct v3_names names;
	etcdlock_query_fn done;
	void *arg;
	enum query_step step;
	struct call call;
	struct task advance;
	struct timer limit;
	int64_t limit_ms;
	char trouble[CALL_TEXT + 128]; /* the last try that failed */
	bool answered;                 /* and what was wrong was the answer */
	struct v3_queue queue;         /* v3 */
	struct v3_queue keys;          /* v3: of a long queue, without values */
	json_t *page;                  /* v3: the last one of these */
	size_t valued;                 /* v3: how many of KEYS were asked for */
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
	timer_disarm(query->session->loop, &query->limit);
	query->step = QUERY_OVER;
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
	call_stop(&query->call);
	finish(query, text);
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct etcdlock_query *query = arg;

	snprintf(query->trouble, sizeof(query->trouble), "%s", trouble->text);
	query->answered = trouble->answered;
	if (!trouble->hopeless)
		return;
	call_stop(&query->call);
	finish(query, trouble->text);
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

/* 0: it has none. */
static int64_t
holders_lease(const struct etcdlock_query *query)
{
	for (size_t i = 0; query->count > 0 && i < query->queue.count; i++)
		if (query->queue.entries[i].key == query->contenders[0].key)
			return query->queue.entries[i].lease;
	return 0;
}

/* All of the queue is there. */
static void
on_whole_queue(struct etcdlock_query *query)
{
	v3_queue_sort(&query->queue);
	if (!take_queue(query))
		finish(query, "no memory for the queue");
	else if (holders_lease(query) == 0)
		finish(query, NULL);
	else
		query->step = QUERY_LEASE;
}

static void
begin_pages(struct etcdlock_query *query)
{
	log_msg(&query->session->log, LEVEL_DEBUG, "a long queue, or much data in it: reading it in pages");
	query->step = QUERY_KEYS;
	task_post(query->session->loop, &query->advance);
}

/* PART, which it takes, has the next entries of the queue. */
static void
take_part(struct etcdlock_query *query, struct v3_queue *part, json_t *answer)
{
	struct v3_queue *to = query->step == QUERY_KEYS ? &query->keys : &query->queue;
	const bool more = part->more;

	if (v3_queue_add(to, part) == -1) {
		v3_queue_free(part);
		finish(query, "no memory for the queue");
		return;
	}
	json_decref(query->page);
	query->page = more ? json_incref(answer) : NULL;
	if (query->step == QUERY_KEYS && !more)
		query->step = QUERY_VALUES;
	if (query->step == QUERY_VALUES && query->valued == query->keys.count)
		on_whole_queue(query);
}

/* An answer that is one of many shows that etcd is there: the limit is for the next one. */
static enum call_verdict
on_queue(struct etcdlock_query *query, json_t *answer, char text[CALL_TEXT])
{
	struct v3_queue part;
	const char *wrong = v3_decode_queue(answer, &query->names, query->step == QUERY_VALUES, &part);

	if (wrong != NULL) {
		snprintf(text, CALL_TEXT, "an answer makes no sense: %s", wrong);
		return CALL_RETRY;
	}
	timer_arm(query->session->loop, &query->limit, clock_now() + query->limit_ms * NSEC_PER_MSEC);
	if (query->step != QUERY_QUEUE) {
		take_part(query, &part, answer);
	} else if (part.more) {
		v3_queue_free(&part);
		begin_pages(query);
	} else {
		query->queue = part;
		on_whole_queue(query);
	}
	task_post(query->session->loop, &query->advance);
	return CALL_DONE;
}

static enum call_verdict
on_lease(struct etcdlock_query *query, const json_t *answer)
{
	int64_t left_s = -1;

	if (v3_decode_time_left(answer, &left_s) == NULL && left_s >= 0)
		query->contenders[0].left_ms = left_s * 1000;
	finish(query, NULL);
	return CALL_DONE;
}

static enum call_verdict
on_v3_answer(struct etcdlock_query *query, const struct verdict *verdict, char text[CALL_TEXT])
{
	if (verdict->kind == VERDICT_OK)
		return query->step == QUERY_LEASE ? on_lease(query, verdict->answer)
						  : on_queue(query, verdict->answer, text);
	if (verdict->kind == VERDICT_TOO_LONG && query->step == QUERY_QUEUE) {
		begin_pages(query);
		return CALL_DONE;
	}
	client_explain(query->session, query->key, text, CALL_TEXT);
	/* Where the lease has gone meanwhile, no time is left of it. */
	finish(query, query->step == QUERY_LEASE && verdict->kind != VERDICT_UNAUTHENTICATED ? NULL : text);
	return CALL_DONE;
}

/* --- v2 --- */

static void
take_holder(struct etcdlock_query *query, const struct v2_node *node)
{
	query->contenders = calloc(1, sizeof(*query->contenders));
	query->holder = strdup(node->value);
	if (query->contenders == NULL || query->holder == NULL) {
		finish(query, "no memory for the holder");
		return;
	}
	query->count = 1;
	*query->contenders = (struct etcdlock_contender){
		.id = query->holder,
		.key = query->key,
		.revision = node->created,
		.left_ms = node->ttl_s > 0 ? node->ttl_s * 1000 : -1,
	};
	finish(query, NULL);
}

static enum call_verdict
on_v2_answer(struct etcdlock_query *query, const struct verdict *verdict, const char *text)
{
	if (verdict->kind == VERDICT_OK && verdict->v2.node.directory)
		finish(query, "the key is a directory in etcd");
	else if (verdict->kind == VERDICT_OK)
		take_holder(query, &verdict->v2.node);
	else
		finish(query, verdict->kind == VERDICT_NO_KEY ? NULL : text);
	return CALL_DONE;
}

static enum call_verdict
on_answer(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct etcdlock_query *query = arg;

	if (query->step == QUERY_KEY)
		return on_v2_answer(query, verdict, text);
	return on_v3_answer(query, verdict, text);
}

static int
ask_for_values(struct etcdlock_query *query)
{
	const struct v3_kv *first = query->keys.entries + query->valued;
	size_t left = query->keys.count - query->valued, count = left < VALUES_AT_ONCE ? left : VALUES_AT_ONCE;

	query->valued += count;
	return call_start(&query->call, "/v3/kv/txn", v3_encode_gets(first, count), TRY_LIMIT);
}

/* Sends what STEP says. Nothing else is on the stack. */
static void
advance(void *arg)
{
	struct etcdlock_query *query = arg;
	int sent = 0;

	switch (query->step) {
	case QUERY_QUEUE:
		sent = call_start(
		    &query->call, "/v3/kv/range", v3_encode_list(&query->names, NULL, SHORT_QUEUE, true), TRY_LIMIT);
		break;
	case QUERY_KEYS:
		sent = call_start(&query->call, "/v3/kv/range",
		    v3_encode_list(&query->names, query->page, KEYS_AT_ONCE, false), TRY_LIMIT);
		break;
	case QUERY_VALUES:
		sent = ask_for_values(query);
		break;
	case QUERY_LEASE:
		sent = call_start(
		    &query->call, "/v3/kv/lease/timetolive", v3_encode_lease(holders_lease(query)), TRY_LIMIT);
		break;
	case QUERY_KEY:
		sent = call_request(&query->call, "GET", v2_encode_read(query->key), false, TRY_LIMIT);
		break;
	case QUERY_OVER:
		break;
	}
	if (sent == -1)
		finish(query, "no memory for a request");
}

/* --- public --- */

struct etcdlock_query *
etcdlock_query_new(
    struct etcdlock_client *client, const struct etcdlock_config *config, etcdlock_query_fn done, void *arg)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble };
	struct etcdlock_query *query;
	char why[1];

	if (etcdlock_config_check(config, why, sizeof(why)) == -1)
		return NULL;
	query = calloc(1, sizeof(*query));
	if (query == NULL)
		return NULL;
	query->session = client->session;
	query->done = done;
	query->arg = arg;
	query->limit_ms = timing_connect_ms(&config->timing, true);
	query->key = strdup(config->key);
	timer_init(&query->limit, on_limit, query);
	task_init(&query->advance, advance, query);
	call_init(&query->call, query->session, &owner);
	query->call.owner.arg = query;
	query->step = config->v2 ? QUERY_KEY : QUERY_QUEUE;
	query->deliver = loop_event(query->session->loop, -1, 0, PRIORITY_REST, on_deliver, query);
	if (query->key == NULL || query->deliver == NULL ||
	    v3_names_init(&query->names, config->key, etcdlock_config_id(config), 0) == -1) {
		etcdlock_query_free(query);
		errno = ENOMEM;
		return NULL;
	}
	task_post(query->session->loop, &query->advance);
	timer_arm(query->session->loop, &query->limit, clock_now() + query->limit_ms * NSEC_PER_MSEC);
	return query;
}

void
etcdlock_query_free(struct etcdlock_query *query)
{
	if (query == NULL)
		return;
	call_stop(&query->call);
	task_cancel(query->session->loop, &query->advance);
	timer_disarm(query->session->loop, &query->limit);
	loop_event_free(query->deliver);
	v3_queue_free(&query->queue);
	v3_queue_free(&query->keys);
	json_decref(query->page);
	v3_names_free(&query->names);
	free(query->contenders);
	free(query->holder);
	free(query->key);
	free(query);
}
