/* The watch on our own key and on the one ahead of us: one stream, reopened from where it was when it breaks. */
#include "lock/v3.h"

#include "base/strbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One message may carry a burst of events; more than this is no watch of ours. */
#define WATCH_MAX_MESSAGE ((size_t)1 << 20)

/* etcd confirms a watch within milliseconds; a request that it does not understand it never answers. */
#define CREATED_LIMIT (2 * NSEC_PER_SEC)

static void
watch_close(struct v3 *v3)
{
	struct v3_watch *watch = &v3->watch;

	http_cancel(watch->request);
	watch->request = NULL;
	json_stream_reset(&watch->stream);
	timer_disarm(v3->lock->client->loop, &watch->created_limit);
	timer_disarm(v3->lock->client->loop, &watch->retry);
}

static void
watch_retry(struct v3 *v3, nsec delay)
{
	watch_close(v3);
	timer_arm(v3->lock->client->loop, &v3->watch.retry, clock_add(clock_now(), delay));
}

/* The stream is over or useless: another one, from elsewhere. */
static void
watch_failed(struct v3 *v3, const char *why)
{
	struct etcdlock_client *client = v3->lock->client;

	log_msg(&client->log, LEVEL_DEBUG, "watch: %s: %s", v3->watch.endpoint->name, why);
	endpoints_failed(client->endpoints, v3->watch.endpoint);
	watch_retry(v3, backoff_next(&v3->watch.backoff));
}

static void
on_own_event(struct v3 *v3, const struct v3_event *event)
{
	/* What our own transactions did, whose answers have come already. */
	if (event->kv.mod_revision <= v3->mod_revision)
		return;
	if (event->deleted)
		v3_lost_key(v3, NULL);
	else if (!v3_is_ours(v3, &event->kv))
		v3_lost_key(v3, &event->kv);
}

static void
on_predecessor_event(struct v3 *v3, const struct v3_event *event)
{
	const struct v3_kv *last = event->deleted ? &event->before : &event->kv;

	if (last->key != NULL && v3_kv_released(last))
		lock_vanished(v3->lock, VANISH_RELEASED);
	else if (event->deleted && last->key != NULL && last->value_len == 0)
		lock_vanished(v3->lock, VANISH_MUTE);
	else if (event->deleted)
		lock_vanished(v3->lock, VANISH_UNKNOWN);
}

static void
on_event(struct v3 *v3, const struct v3_event *event)
{
	const char *predecessor = v3->watch.predecessor;

	if (v3->names.key != NULL && strcmp(event->kv.key, v3->names.key) == 0)
		on_own_event(v3, event);
	else if (predecessor != NULL && strcmp(event->kv.key, predecessor) == 0)
		on_predecessor_event(v3, event);
}

/* Acts on one message. Returns NULL, or why the stream is to be given up. */
static const char *
on_message(struct v3 *v3, const json_t *object)
{
	struct v3_watch *watch = &v3->watch;
	struct v3_watch_message message;
	const struct http_request *request = watch->request;
	const char *wrong = v3_decode_watch(object, &message);

	if (wrong != NULL)
		return wrong;
	if (message.compact_revision > 0) {
		/* What happened before it is not told any more: look. */
		v3->seen = message.compact_revision - 1;
		v3_look(v3);
	}
	if (message.ended != NULL)
		return message.ended;
	if (message.created) {
		watch->created = true;
		backoff_reset(&watch->backoff);
		timer_disarm(v3->lock->client->loop, &watch->created_limit);
	}
	for (size_t i = 0; i < message.events; i++) {
		struct v3_event event;

		wrong = v3_decode_event(object, i, &event);
		if (wrong != NULL)
			return wrong;
		/* Some versions send what is older than the start. */
		if (event.kv.mod_revision >= watch->start)
			on_event(v3, &event);
		v3_event_free(&event);
		if (watch->request != request)
			return NULL; /* the event ended this watch */
	}
	if (message.events > 0 && message.revision > v3->seen)
		v3->seen = message.revision;
	return NULL;
}

static void
on_data(void *arg, const char *bytes, size_t len)
{
	struct v3 *v3 = arg;
	struct v3_watch *watch = &v3->watch;
	const struct http_request *request = watch->request;
	const char *wrong = NULL;
	json_error_t error;
	json_t *object;
	int got = 0;

	if (json_stream_feed(&watch->stream, bytes, len, WATCH_MAX_MESSAGE) == -1)
		wrong = errno == EMSGSIZE ? "a message is too long" : "no memory for a message";
	while (wrong == NULL && (got = json_stream_next(&watch->stream, &object, &error)) == 1) {
		wrong = on_message(v3, object);
		if (wrong != NULL)
			watch_failed(v3, wrong); /* before the object goes, which WRONG may be part of */
		json_decref(object);
		if (watch->request != request || wrong != NULL)
			return;
	}
	if (got == -1)
		wrong = error.text;
	if (wrong != NULL)
		watch_failed(v3, wrong);
}

static void
on_done(void *arg, const struct http_response *response)
{
	struct v3 *v3 = arg;

	v3->watch.request = NULL;
	watch_failed(v3, response->error != NULL ? response->error : "the stream has ended");
}

static void
on_created_limit(void *arg)
{
	watch_failed(arg, "not confirmed in time");
}

static void
watch_open(void *arg)
{
	struct v3 *v3 = arg;
	struct v3_watch *watch = &v3->watch;
	struct etcdlock_client *client = v3->lock->client;
	struct http_spec spec = {
		.require_leader = true, .max_body = WATCH_MAX_MESSAGE, .on_data = on_data, .on_done = on_done, .arg = v3
	};
	char *body, *url;

	watch_close(v3);
	watch->start = v3->seen + 1;
	body = v3_encode_watch(&v3->names, watch->predecessor, watch->start);
	watch->endpoint = endpoints_current(client->endpoints);
	url = str_printf("%s/v3/watch", watch->endpoint->url);
	if (body != NULL && url != NULL) {
		spec.url = url;
		spec.unix_socket = watch->endpoint->unix_socket;
		spec.body = body;
		watch->created = false;
		watch->request = http_start(client->http, &spec);
	}
	free(body);
	free(url);
	if (watch->request != NULL)
		timer_arm(client->loop, &watch->created_limit, clock_now() + CREATED_LIMIT);
	else
		watch_retry(v3, backoff_next(&watch->backoff));
}

static bool
same_key(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

void
v3_follow(void *arg)
{
	struct v3 *v3 = arg;
	struct v3_watch *watch = &v3->watch;

	if (watch->wanted && same_key(watch->predecessor, v3->predecessor))
		return;
	watch_close(v3);
	free(watch->predecessor);
	watch->predecessor = v3->predecessor == NULL ? NULL : strdup(v3->predecessor);
	if (v3->predecessor != NULL && watch->predecessor == NULL) {
		lock_stumbled(v3->lock);
		return;
	}
	watch->wanted = true;
	watch_open(v3);
}

void
v3_watch_stop(struct v3 *v3)
{
	watch_close(v3);
	free(v3->watch.predecessor);
	v3->watch.predecessor = NULL;
	v3->watch.wanted = false;
}

void
v3_watch_distrust(struct v3 *v3, const struct endpoint *endpoint)
{
	struct v3_watch *watch = &v3->watch;

	if (watch->request != NULL && endpoint == watch->endpoint)
		watch_retry(v3, 0);
}

void
v3_watch_init(struct v3 *v3)
{
	struct v3_watch *watch = &v3->watch;

	watch->backoff = (struct backoff){ .first = 50 * NSEC_PER_MSEC, .cap = NSEC_PER_SEC };
	timer_init(&watch->created_limit, on_created_limit, v3);
	timer_init(&watch->retry, watch_open, v3);
}
