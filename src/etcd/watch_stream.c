#include "etcd/watch_stream.h"

#include "base/strbuf.h"
#include "etcd/attempt.h"
#include "etcd/credentials.h"
#include "etcd/json_stream.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One message may carry a burst of events; more than this is no watch of ours. */
#define MESSAGE_LIMIT ((size_t)1 << 20)

/* etcd confirms a watch within milliseconds; a request that it does not understand it never answers. */
#define CREATED_LIMIT (2 * NSEC_PER_SEC)

/* How long to wait for a token that is on its way. */
#define TOKEN_PAUSE (50 * NSEC_PER_MSEC)

/* Watchers on one stream: its request, which a server may limit, has some 400 bytes for each. */
#define STREAM_WATCHERS 256

struct watch_stream {
	struct watch_streams *all;
	struct attempt attempt;
	struct endpoint *endpoint;
	struct json_stream json;
	struct watcher **slots; /* by the watch_id that etcd gives: from 0 on, in the order of the requests */
	size_t slot_count, created, watchers;
	struct timer created_limit;
	TAILQ_ENTRY(watch_stream) link;
};

struct watch_streams {
	struct session *session;
	TAILQ_HEAD(, watch_stream) open_ones;
	TAILQ_HEAD(, watcher) waiting;
	size_t waiting_count;
	size_t unconfirmed; /* streams so far: the next one goes so many endpoints further */
	struct timer open;
};

/* --- streams --- */

static void
stream_close(struct watch_stream *stream)
{
	attempt_cancel(&stream->attempt);
	timer_disarm(stream->all->session->loop, &stream->created_limit);
	TAILQ_REMOVE(&stream->all->open_ones, stream, link);
	json_stream_reset(&stream->json);
	free(stream->slots);
	free(stream);
}

static void
stream_drop(struct watch_stream *stream, struct watcher *watcher)
{
	for (size_t i = 0; i < stream->slot_count; i++)
		if (stream->slots[i] == watcher)
			stream->slots[i] = NULL;
	watcher->stream = NULL;
	stream->watchers--;
}

/* Takes one watcher off STREAM, which is to be closed; NULL: none is left. */
static struct watcher *
stream_pop(struct watch_stream *stream)
{
	for (size_t i = 0; i < stream->slot_count; i++) {
		struct watcher *watcher = stream->slots[i];

		if (watcher == NULL)
			continue;
		stream_drop(stream, watcher);
		return watcher;
	}
	return NULL;
}

/* The stream is over or useless: its watchers are told. */
static void
stream_give_up(struct watch_stream *stream, const char *why)
{
	struct watcher *watcher;

	log_msg(&stream->all->session->log, LEVEL_DEBUG, "watch: %s: %s", stream->endpoint->name, why);
	while ((watcher = stream_pop(stream)) != NULL)
		watcher->on_failed(watcher->arg, why);
	stream_close(stream);
}

/* The stream has failed, and so has its endpoint, or the token. */
static void
stream_failed(struct watch_stream *stream, const char *why)
{
	if (!attempt_blame_token(&stream->attempt, why))
		endpoints_failed(stream->all->session->endpoints, stream->endpoint);
	stream_give_up(stream, why);
}

/* Hands on one message. Returns NULL, or why the stream is to be given up. */
static const char *
on_message(struct watch_stream *stream, const json_t *message)
{
	const json_t *result = json_object_get(message, "result");
	const json_t *id_field = json_object_get(result, "watch_id");
	struct watcher *watcher;
	json_int_t id;

	if (!json_is_object(result))
		return json_object_get(message, "error") != NULL ? "etcd has ended the stream"
								 : "a watch message has neither result nor error";
	/* An int64, so a string, and left out where it is 0. */
	id = json_is_string(id_field) ? strtoll(json_string_value(id_field), NULL, 10) : json_integer_value(id_field);
	/* -1: a watch was refused. etcd does not say which, and the numbers of the watches behind it are shifted. */
	if (id < 0 || (size_t)id >= stream->slot_count)
		return id == -1 ? "a watch was refused" : "a message is about a watch that there is not";
	if (json_is_true(json_object_get(result, "created")) && ++stream->created == stream->slot_count)
		timer_disarm(stream->all->session->loop, &stream->created_limit);
	watcher = stream->slots[id];
	if (watcher != NULL)
		watcher->on_message(watcher->arg, message);
	return NULL;
}

/* etcd's reason, where it gives one. */
static const char *
reason_of(const json_t *message, const char *fallback)
{
	const json_t *error = json_object_get(message, "error");
	const json_t *text = json_object_get(json_object_get(message, "result"), "cancel_reason");

	if (text == NULL)
		text = json_is_object(error) ? json_object_get(error, "message") : error;
	return json_is_string(text) ? json_string_value(text) : fallback;
}

static void
on_data(void *arg, const char *bytes, size_t len)
{
	struct watch_stream *stream = arg;
	const char *wrong = NULL;
	char why[256];
	json_error_t error;
	json_t *message;
	int got = 0;

	if (json_stream_feed(&stream->json, bytes, len, MESSAGE_LIMIT) == -1)
		wrong = errno == EMSGSIZE ? "a message is too long" : "no memory for a message";
	while (wrong == NULL && (got = json_stream_next(&stream->json, &message, &error)) == 1) {
		wrong = on_message(stream, message);
		if (wrong != NULL) {
			snprintf(why, sizeof(why), "%s", reason_of(message, wrong)); /* before the message goes */
			wrong = why;
		}
		json_decref(message);
	}
	if (wrong != NULL || got == -1)
		stream_failed(stream, wrong != NULL ? wrong : error.text);
}

static void
on_done(void *arg, const struct verdict *verdict)
{
	stream_failed(arg, verdict->text);
}

static void
on_created_limit(void *arg)
{
	struct watch_stream *stream = arg;

	/* A proxy that holds streams back lets requests through: only the next stream is to try another endpoint. If
	 * this counted against the endpoint, renewals would be led away from where they work. */
	stream->all->unconfirmed++;
	stream_give_up(stream, "not confirmed in time");
}

/* --- opening --- */

static void
wait_for_stream(struct watch_streams *streams, struct watcher *watcher)
{
	watcher->waits_for = streams;
	streams->waiting_count++;
	TAILQ_INSERT_TAIL(&streams->waiting, watcher, link);
}

static void
stop_waiting(struct watch_streams *streams, struct watcher *watcher)
{
	TAILQ_REMOVE(&streams->waiting, watcher, link);
	streams->waiting_count--;
	watcher->waits_for = NULL;
}

/* Gives up the streams that are no larger than what waits; their watchers wait, too. */
static void
absorb(struct watch_streams *streams)
{
	struct watch_stream *stream, *next;
	struct watcher *watcher;

	for (stream = TAILQ_FIRST(&streams->open_ones); stream != NULL; stream = next) {
		size_t size = stream->watchers;

		next = TAILQ_NEXT(stream, link);
		/* A stream that is not confirmed yet is left alone: its requests are under way. */
		if (size > streams->waiting_count || streams->waiting_count + size > STREAM_WATCHERS ||
		    stream->created < stream->slot_count)
			continue;
		while ((watcher = stream_pop(stream)) != NULL)
			wait_for_stream(streams, watcher);
		stream_close(stream);
	}
}

/* Puts WATCHER onto the stream that is being made, its requests at the end of BODY. False where memory is short. */
static bool
stream_join(struct watch_stream *stream, struct watcher *watcher, struct strbuf *body)
{
	char *requests[WATCHER_WATCHES];
	size_t count = watcher->encode(watcher->arg, requests);
	bool good = count > 0;

	for (size_t i = 0; i < count; i++) {
		good = good && strbuf_append(body, requests[i], strlen(requests[i]), SIZE_MAX / 2) == 0 &&
		    strbuf_append(body, "\n", 1, SIZE_MAX / 2) == 0;
		free(requests[i]);
	}
	if (!good)
		return false;
	while (count-- > 0)
		stream->slots[stream->slot_count++] = watcher;
	watcher->stream = stream;
	stream->watchers++;
	return true;
}

/* A stream for what waits, as many as fit. NULL where memory is short. */
static struct watch_stream *
stream_new(struct watch_streams *streams)
{
	struct watch_stream *stream = calloc(1, sizeof(*stream));
	size_t watchers = streams->waiting_count < STREAM_WATCHERS ? streams->waiting_count : STREAM_WATCHERS;

	if (stream == NULL)
		return NULL;
	stream->slots = calloc(watchers * WATCHER_WATCHES, sizeof(struct watcher *));
	if (stream->slots == NULL) {
		free(stream);
		return NULL;
	}
	stream->all = streams;
	timer_init(&stream->created_limit, on_created_limit, stream);
	stream->endpoint = endpoints_next(streams->session->endpoints, streams->unconfirmed);
	TAILQ_INSERT_HEAD(&streams->open_ones, stream, link);
	return stream;
}

static bool
stream_send(struct watch_stream *stream, const char *body)
{
	struct session *session = stream->all->session;
	struct attempt_spec spec = { .path = "/v3/watch",
		.body = body,
		.endpoint = stream->endpoint,
		.require_leader = true,
		.max_body = MESSAGE_LIMIT,
		.on_data = on_data,
		.on_done = on_done,
		.arg = stream };

	if (body == NULL || attempt_start(&stream->attempt, session, &spec) == -1)
		return false;
	timer_arm(session->loop, &stream->created_limit, clock_now() + CREATED_LIMIT);
	return true;
}

/* The watchers that wait get a stream. */
static void
on_open(void *arg)
{
	struct watch_streams *streams = arg;
	struct watch_stream *stream;
	struct watcher *watcher;
	struct strbuf body = { 0 };
	bool good = true;

	if (TAILQ_EMPTY(&streams->waiting))
		return;
	if (!credentials_ready(streams->session->credentials)) {
		timer_arm(streams->session->loop, &streams->open, clock_now() + TOKEN_PAUSE);
		return;
	}
	absorb(streams);
	stream = stream_new(streams);
	if (stream == NULL) {
		/* There is no stream that could fail. */
		while ((watcher = TAILQ_FIRST(&streams->waiting)) != NULL) {
			stop_waiting(streams, watcher);
			watcher->on_failed(watcher->arg, "no memory for a watch");
		}
		return;
	}
	while (good && stream->watchers < STREAM_WATCHERS && (watcher = TAILQ_FIRST(&streams->waiting)) != NULL) {
		stop_waiting(streams, watcher);
		good = stream_join(stream, watcher, &body);
		if (!good)
			watcher->on_failed(watcher->arg, "no memory for a watch");
	}
	if (!good || !stream_send(stream, body.data))
		stream_failed(stream, "no memory for a watch");
	strbuf_free(&body);
	if (!TAILQ_EMPTY(&streams->waiting))
		timer_arm(streams->session->loop, &streams->open, clock_now());
}

/* --- for the watchers --- */

void
watcher_open(struct watch_streams *streams, struct watcher *watcher)
{
	watcher_close(watcher);
	wait_for_stream(streams, watcher);
	timer_arm(streams->session->loop, &streams->open, clock_now());
}

void
watcher_close(struct watcher *watcher)
{
	if (watcher->waits_for != NULL)
		stop_waiting(watcher->waits_for, watcher);
	if (watcher->stream != NULL) {
		struct watch_stream *stream = watcher->stream;

		stream_drop(stream, watcher);
		if (stream->watchers == 0)
			stream_close(stream);
	}
}

struct endpoint *
watcher_endpoint(const struct watcher *watcher)
{
	return watcher->stream == NULL ? NULL : watcher->stream->endpoint;
}

struct watch_streams *
watch_streams_new(struct session *session)
{
	struct watch_streams *streams = calloc(1, sizeof(*streams));

	if (streams == NULL)
		return NULL;
	streams->session = session;
	TAILQ_INIT(&streams->open_ones);
	TAILQ_INIT(&streams->waiting);
	timer_init(&streams->open, on_open, streams);
	return streams;
}

void
watch_streams_free(struct watch_streams *streams)
{
	if (streams == NULL)
		return;
	timer_disarm(streams->session->loop, &streams->open);
	free(streams);
}
