#include "lock/cluster.h"

#include "lock/v3_codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The time limit of one question, and how long somebody who could start is held up by it. */
#define QUESTION_LIMIT NSEC_PER_SEC
#define HOLD_UP (250 * NSEC_PER_MSEC)

/* Who joins within so long need not ask again. */
#define GOOD_FOR (5 * NSEC_PER_SEC)

#define ANSWER_LIMIT ((size_t)64 << 10)

struct question {
	struct cluster *cluster;
	struct endpoint *endpoint;
	struct http_request *request; /* NULL: not asked */
};

struct cluster {
	struct etcdlock_client *client;
	struct question *questions; /* one for each endpoint */
	size_t open;                /* how many are asked */
	nsec asked;                 /* when all of them were, last */
	TAILQ_HEAD(, cluster_waiter) waiters;
	struct timer limit;
};

static void
call_waiters(struct cluster *cluster)
{
	struct cluster_waiter *waiter;

	timer_disarm(cluster->client->loop, &cluster->limit);
	while ((waiter = TAILQ_FIRST(&cluster->waiters)) != NULL) {
		cluster_stop_waiting(cluster, waiter);
		waiter->ready(waiter->arg);
	}
}

static void
on_limit(void *arg)
{
	call_waiters(arg);
}

static void
on_answer(void *arg, const struct http_response *response)
{
	struct question *question = arg;
	struct cluster *cluster = question->cluster;
	struct v3_header header = { 0 };
	char text[V3_TEXT];
	json_t *answer;

	question->request = NULL;
	cluster->open--;
	if (response->error == NULL &&
	    v3_judge(response->status, response->body, response->len, &answer, text) == V3_OK) {
		if (v3_decode_header(answer, &header) == NULL)
			question->endpoint->cluster = header.cluster;
		json_decref(answer);
	}
	/* Not from in here, where libcurl's work is being handed on. */
	if (cluster->open == 0 && !TAILQ_EMPTY(&cluster->waiters))
		timer_arm(cluster->client->loop, &cluster->limit, clock_now());
}

void
cluster_forget(struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->client->endpoints->count; i++)
		cluster->client->endpoints->list[i].cluster = 0;
	cluster->asked = 0;
}

void
cluster_probe(struct cluster *cluster, bool anew)
{
	struct etcdlock_client *client = cluster->client;
	nsec now = clock_now();

	if (anew && now > cluster->asked + GOOD_FOR) {
		cluster_forget(cluster);
		cluster->asked = now;
	}
	for (size_t i = 0; i < client->endpoints->count; i++) {
		struct question *question = &cluster->questions[i];
		struct http_spec spec = { .body = "{}",
			.time_limit = QUESTION_LIMIT,
			.max_body = ANSWER_LIMIT,
			.on_done = on_answer,
			.arg = question };

		if (question->endpoint->gone || question->endpoint->cluster != 0 || question->request != NULL ||
		    question->endpoint == endpoints_current(client->endpoints))
			continue;
		question->request = client_send(client, question->endpoint, "/v3/maintenance/status", &spec, NULL);
		/* One for which there is no memory is asked later. */
		if (question->request != NULL)
			cluster->open++;
	}
}

bool
cluster_wait(struct cluster *cluster, struct cluster_waiter *waiter)
{
	if (cluster->open == 0)
		return false;
	if (!waiter->waiting)
		TAILQ_INSERT_TAIL(&cluster->waiters, waiter, link);
	waiter->waiting = true;
	if (!timer_armed(&cluster->limit))
		timer_arm(cluster->client->loop, &cluster->limit, clock_now() + HOLD_UP);
	return true;
}

void
cluster_stop_waiting(struct cluster *cluster, struct cluster_waiter *waiter)
{
	if (waiter->waiting)
		TAILQ_REMOVE(&cluster->waiters, waiter, link);
	waiter->waiting = false;
}

bool
cluster_is_split(const struct cluster *cluster, char *text, size_t size)
{
	const struct endpoints *endpoints = cluster->client->endpoints;
	const struct endpoint *first = NULL;

	for (size_t i = 0; i < endpoints->count; i++) {
		const struct endpoint *one = &endpoints->list[i];

		if (one->gone || one->cluster == 0)
			continue;
		if (first == NULL)
			first = one;
		if (one->cluster == first->cluster)
			continue;
		snprintf(text, size,
		    "%.120s and %.120s are of two clusters (%" PRIx64 " and %" PRIx64
		    "), so this would be two locks; give the endpoints of one",
		    first->name, one->name, first->cluster, one->cluster);
		return true;
	}
	return false;
}

struct cluster *
cluster_new(struct etcdlock_client *client)
{
	struct cluster *cluster = calloc(1, sizeof(*cluster));

	if (cluster == NULL)
		return NULL;
	cluster->client = client;
	TAILQ_INIT(&cluster->waiters);
	timer_init(&cluster->limit, on_limit, cluster);
	cluster->questions = calloc(client->endpoints->room, sizeof(*cluster->questions));
	if (cluster->questions == NULL) {
		free(cluster);
		return NULL;
	}
	for (size_t i = 0; i < client->endpoints->room; i++)
		cluster->questions[i] =
		    (struct question){ .cluster = cluster, .endpoint = &client->endpoints->list[i] };
	return cluster;
}

void
cluster_free(struct cluster *cluster)
{
	if (cluster == NULL)
		return;
	for (size_t i = 0; i < cluster->client->endpoints->count; i++)
		http_cancel(cluster->questions[i].request);
	timer_disarm(cluster->client->loop, &cluster->limit);
	free(cluster->questions);
	free(cluster);
}
