#include "lock/watches.h"

#include "base/strbuf.h"
#include "lock/auth.h"
#include "lock/json_stream.h"
#include "lock/v3_codec.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One message may carry a burst of events; more than this is no watch of ours. */
#define MESSAGE_LIMIT ((size_t)1 << 20)

/* etcd confirms a watch within milliseconds; a request that it does not understand it never answers. */
#define CREATED_LIMIT (2 * NSEC_PER_SEC)

/* Another token is on its way. */
#define TOKEN_PAUSE (50 * NSEC_PER_MSEC)

/* Watchers on one stream: its request, which a server may limit, has some 400 bytes for each. */
#define STREAM_WATCHERS 256

struct watch_stream {
	struct watches *watches;
	struct http_request *request;
	struct endpoint *endpoint;
	unsigned token; /* that went with it */
	struct json_stream json;
	struct watcher **slots; /* by the watch_id that etcd gives: from 0 on, in the order of the requests */
	size_t slot_count, created, watchers;
	struct timer created_limit;
	struct watch_stream *next, *prev;
	bool busy, dead; /* BUSY: on the stack; DEAD: to be freed when it is not any more */
};

struct watches {
	struct etcdlock_client *client;
	struct watch_stream *streams;
	TAILQ_HEAD(, watcher) waiting;
	size_t waiting_count;
	struct timer open;
};

/* --- streams --- */

static void
stream_close(struct watch_stream *stream)
{
	http_cancel(stream->request);
	stream->request = NULL;
	timer_disarm(stream->watches->client->loop, &stream->created_limit);
	if (!stream->dead) {
		if (stream->prev != NULL)
			stream->prev->next = stream->next;
		else
			stream->watches->streams = stream->next;
		if (stream->next != NULL)
			stream->next->prev = stream->prev;
	}
	stream->dead = true;
	if (stream->busy)
		return;
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

/* The stream is over or useless. */
static void
stream_failed(struct watch_stream *stream, const char *why)
{
	struct etcdlock_client *client = stream->watches->client;
	bool busy = stream->busy;
	struct watcher *watcher;

	log_msg(&client->log, LEVEL_DEBUG, "watch: %s: %s", stream->endpoint->name, why);
	/* A stream has no status of its own. */
	if (v3_blames_token(why))
		auth_reject(client->auth, stream->token);
	else
		endpoints_failed(client->endpoints, stream->endpoint);
	stream->busy = true;
	while ((watcher = stream_pop(stream)) != NULL)
		watcher->on_failed(watcher->arg, why);
	stream->busy = busy;
	stream_close(stream);
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
	/* -1: it was refused. Which one that was is not said, and the numbers of those behind it are shifted. */
	if (id < 0 || (size_t)id >= stream->slot_count)
		return id == -1 ? "a watch was refused" : "a message is about a watch that there is not";
	if (json_is_true(json_object_get(result, "created")) && ++stream->created == stream->slot_count)
		timer_disarm(stream->watches->client->loop, &stream->created_limit);
	watcher = stream->slots[id];
	if (watcher != NULL)
		watcher->on_message(watcher->arg, message);
	return NULL;
}

/* etcd's reason, where it gives one. */
static const char *
reason_of(const json_t *message, const char *otherwise)
{
	const json_t *error = json_object_get(message, "error");
	const json_t *text = json_object_get(json_object_get(message, "result"), "cancel_reason");

	if (text == NULL)
		text = json_is_object(error) ? json_object_get(error, "message") : error;
	return json_is_string(text) ? json_string_value(text) : otherwise;
}

static void
on_data(void *arg, const char *bytes, size_t len)
{
	struct watch_stream *stream = arg;
	const char *wrong = NULL;
	json_error_t error;
	json_t *message;
	int got = 0;

	stream->busy = true;
	if (json_stream_feed(&stream->json, bytes, len, MESSAGE_LIMIT) == -1)
		wrong = errno == EMSGSIZE ? "a message is too long" : "no memory for a message";
	while (!stream->dead && wrong == NULL && (got = json_stream_next(&stream->json, &message, &error)) == 1) {
		wrong = on_message(stream, message);
		if (wrong != NULL)
			stream_failed(stream, reason_of(message, wrong)); /* before the message goes */
		json_decref(message);
	}
	if (!stream->dead && got == -1)
		stream_failed(stream, error.text);
	else if (!stream->dead && wrong != NULL)
		stream_failed(stream, wrong);
	stream->busy = false;
	if (stream->dead)
		stream_close(stream);
}

static void
on_done(void *arg, const struct http_response *response)
{
	struct watch_stream *stream = arg;

	stream->request = NULL;
	stream_failed(stream, response->error != NULL ? response->error : "the stream has ended");
}

static void
on_created_limit(void *arg)
{
	stream_failed(arg, "not confirmed in time");
}

/* --- opening --- */

static void
wait_for_stream(struct watches *watches, struct watcher *watcher)
{
	watcher->waits_for = watches;
	watches->waiting_count++;
	TAILQ_INSERT_TAIL(&watches->waiting, watcher, link);
}

static void
stop_waiting(struct watches *watches, struct watcher *watcher)
{
	TAILQ_REMOVE(&watches->waiting, watcher, link);
	watches->waiting_count--;
	watcher->waits_for = NULL;
}

/* Gives up the streams that are no larger than what waits; their watchers wait, too. */
static void
absorb(struct watches *watches)
{
	struct watch_stream *stream = watches->streams, *next;
	struct watcher *watcher;

	for (; stream != NULL; stream = next) {
		size_t size = stream->watchers;

		next = stream->next;
		/* One that is not confirmed yet is left alone: its requests are under way. */
		if (size > watches->waiting_count || watches->waiting_count + size > STREAM_WATCHERS ||
		    stream->created < stream->slot_count)
			continue;
		while ((watcher = stream_pop(stream)) != NULL)
			wait_for_stream(watches, watcher);
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
stream_new(struct watches *watches)
{
	struct watch_stream *stream = calloc(1, sizeof(*stream));
	size_t watchers = watches->waiting_count < STREAM_WATCHERS ? watches->waiting_count : STREAM_WATCHERS;

	if (stream == NULL)
		return NULL;
	stream->slots = calloc(watchers * WATCHER_WATCHES, sizeof(struct watcher *));
	if (stream->slots == NULL) {
		free(stream);
		return NULL;
	}
	stream->watches = watches;
	timer_init(&stream->created_limit, on_created_limit, stream);
	stream->endpoint = endpoints_current(watches->client->endpoints);
	stream->next = watches->streams;
	if (stream->next != NULL)
		stream->next->prev = stream;
	watches->streams = stream;
	return stream;
}

static bool
stream_send(struct watch_stream *stream, const char *body)
{
	struct etcdlock_client *client = stream->watches->client;
	struct http_spec spec = { .body = body,
		.require_leader = true,
		.max_body = MESSAGE_LIMIT,
		.on_data = on_data,
		.on_done = on_done,
		.arg = stream };

	if (body != NULL)
		stream->request = client_send(client, stream->endpoint, "/v3/watch", &spec, &stream->token);
	if (stream->request == NULL)
		return false;
	timer_arm(client->loop, &stream->created_limit, clock_now() + CREATED_LIMIT);
	return true;
}

/* Those that wait get a stream. */
static void
on_open(void *arg)
{
	struct watches *watches = arg;
	struct watch_stream *stream;
	struct watcher *watcher;
	struct strbuf body = { 0 };
	bool good = true;

	if (TAILQ_EMPTY(&watches->waiting))
		return;
	if (!auth_ready(watches->client->auth)) {
		timer_arm(watches->client->loop, &watches->open, clock_now() + TOKEN_PAUSE);
		return;
	}
	absorb(watches);
	stream = stream_new(watches);
	if (stream == NULL) {
		/* There is no stream that could fail. */
		while ((watcher = TAILQ_FIRST(&watches->waiting)) != NULL) {
			stop_waiting(watches, watcher);
			watcher->on_failed(watcher->arg, "no memory for a watch");
		}
		return;
	}
	while (good && stream->watchers < STREAM_WATCHERS && (watcher = TAILQ_FIRST(&watches->waiting)) != NULL) {
		stop_waiting(watches, watcher);
		good = stream_join(stream, watcher, &body);
		if (!good)
			watcher->on_failed(watcher->arg, "no memory for a watch");
	}
	if (!good || !stream_send(stream, body.data))
		stream_failed(stream, "no memory for a watch");
	strbuf_free(&body);
	if (!TAILQ_EMPTY(&watches->waiting))
		timer_arm(watches->client->loop, &watches->open, clock_now());
}

/* --- for the watchers --- */

void
watcher_open(struct watches *watches, struct watcher *watcher)
{
	watcher_close(watcher);
	wait_for_stream(watches, watcher);
	timer_arm(watches->client->loop, &watches->open, clock_now());
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

struct watches *
watches_new(struct etcdlock_client *client)
{
	struct watches *watches = calloc(1, sizeof(*watches));

	if (watches == NULL)
		return NULL;
	watches->client = client;
	TAILQ_INIT(&watches->waiting);
	timer_init(&watches->open, on_open, watches);
	return watches;
}

void
watches_free(struct watches *watches)
{
	if (watches == NULL)
		return;
	timer_disarm(watches->client->loop, &watches->open);
	free(watches);
}
