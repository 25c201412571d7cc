#include "etcd/cluster.h"

#include "etcd/attempt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The time limit of one question, and how long somebody who could start is held up by it. */
#define QUESTION_LIMIT NSEC_PER_SEC
#define HOLD_UP (250 * NSEC_PER_MSEC)

/* Answers count for so long. */
#define GOOD_FOR (5 * NSEC_PER_SEC)

#define ANSWER_LIMIT ((size_t)64 << 10)

struct question {
	struct cluster *cluster;
	struct endpoint *endpoint;
	struct attempt attempt; /* out while it is asked */
};

struct cluster {
	struct session *session;
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

	timer_disarm(cluster->session->loop, &cluster->limit);
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
on_answer(void *arg, const struct verdict *verdict)
{
	struct question *question = arg;
	struct cluster *cluster = question->cluster;
	struct v3_header header;

	cluster->open--;
	if (verdict->kind == VERDICT_OK && v3_decode_header(verdict->answer, &header) == NULL)
		question->endpoint->cluster = header.cluster;
	if (cluster->open == 0 && !TAILQ_EMPTY(&cluster->waiters))
		timer_arm(cluster->session->loop, &cluster->limit, clock_now());
}

void
cluster_forget(struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->session->endpoints->count; i++)
		cluster->session->endpoints->list[i].cluster = 0;
	cluster->asked = 0;
}

void
cluster_probe(struct cluster *cluster, bool anew)
{
	struct session *session = cluster->session;
	nsec now = clock_now();

	if (anew && now > cluster->asked + GOOD_FOR) {
		cluster_forget(cluster);
		cluster->asked = now;
	}
	for (size_t i = 0; i < session->endpoints->count; i++) {
		struct question *question = &cluster->questions[i];
		struct attempt_spec spec = { .path = "/v3/maintenance/status",
			.body = "{}",
			.endpoint = question->endpoint,
			.anonymous = true,
			.aside = true,
			.time_limit = QUESTION_LIMIT,
			.max_body = ANSWER_LIMIT,
			.on_done = on_answer,
			.arg = question };

		if (question->endpoint->gone || question->endpoint->cluster != 0 ||
		    attempt_is_out(&question->attempt) || question->endpoint == endpoints_current(session->endpoints))
			continue;
		/* One for which there is no memory is asked later. */
		if (attempt_start(&question->attempt, session, &spec) == 0)
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
		timer_arm(cluster->session->loop, &cluster->limit, clock_now() + HOLD_UP);
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
	const struct endpoints *endpoints = cluster->session->endpoints;
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
cluster_new(struct session *session)
{
	struct cluster *cluster = calloc(1, sizeof(*cluster));

	if (cluster == NULL)
		return NULL;
	cluster->session = session;
	TAILQ_INIT(&cluster->waiters);
	timer_init(&cluster->limit, on_limit, cluster);
	cluster->questions = calloc(session->endpoints->room, sizeof(*cluster->questions));
	if (cluster->questions == NULL) {
		free(cluster);
		return NULL;
	}
	for (size_t i = 0; i < session->endpoints->room; i++)
		cluster->questions[i] =
		    (struct question){ .cluster = cluster, .endpoint = &session->endpoints->list[i] };
	return cluster;
}

void
cluster_free(struct cluster *cluster)
{
	if (cluster == NULL)
		return;
	for (size_t i = 0; i < cluster->session->endpoints->count; i++)
		attempt_cancel(&cluster->questions[i].attempt);
	timer_disarm(cluster->session->loop, &cluster->limit);
	free(cluster->questions);
	free(cluster);
}
