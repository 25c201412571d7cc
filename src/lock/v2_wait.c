/* The long poll for the next event of the key, from where the last one was on. */
#include "lock/auth.h"
#include "lock/v2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MAX_BODY ((size_t)1 << 20)

static void
wait_stop(struct v2 *v2)
{
	http_cancel(v2->wait);
	v2->wait = NULL;
	timer_disarm(v2->lock->client->loop, &v2->again);
}

void
v2_wait_again(struct v2 *v2, nsec delay)
{
	wait_stop(v2);
	timer_arm(v2->lock->client->loop, &v2->again, clock_add(clock_now(), delay));
}

static void
on_event(struct v2 *v2, const struct v2_answer *event)
{
	bool gone = strcmp(event->action, "delete") == 0 || strcmp(event->action, "expire") == 0;
	bool released = strcmp(event->action, "compareAndDelete") == 0;

	v2->known = event->node.modified;
	backoff_reset(&v2->backoff);
	if (v2->created != 0 && event->node.modified > v2->modified) {
		v2_lost(v2, gone || released ? NULL : &event->node);
		return;
	}
	if (v2->created == 0 && (gone || released)) {
		v2->changed_hands = true;
		lock_vanished(v2->lock, released ? VANISH_RELEASED : VANISH_UNKNOWN);
		return;
	}
	/* Renewed by a holder of 1.x, or somebody else's by now. */
	if (v2->created == 0)
		v2_read_key(v2);
	v2_wait_start(v2);
}

static void
on_wait_done(void *arg, const struct http_response *response)
{
	struct v2 *v2 = arg;
	struct etcdlock_client *client = v2->lock->client;
	struct v2_answer answer = { .verdict = V2_TRANSIENT };
	char text[V2_TEXT];

	v2->wait = NULL;
	if (response->error == NULL)
		v2_judge(response->status, response->body, response->len, &answer, text);
	else
		snprintf(text, sizeof(text), "%.*s", V2_TEXT - 1, response->error);
	if (answer.verdict == V2_OK) {
		on_event(v2, &answer);
	} else if (answer.verdict == V2_OUTDATED) {
		/* What has happened meanwhile a look tells. */
		v2->known = answer.index;
		v2_read_key(v2);
		v2_wait_start(v2);
	} else {
		log_msg(&client->log, LEVEL_DEBUG, "wait: %s: %s", v2->wait_endpoint->name, text);
		if (answer.verdict == V2_UNAUTHORIZED)
			auth_reject(client->auth, v2->wait_token);
		else
			endpoints_failed(client->endpoints, v2->wait_endpoint);
		/* What comes back may be another store, in which a poll for an event of the future is silent. */
		v2_read_key(v2);
		v2_wait_again(v2, backoff_next(&v2->backoff));
	}
	v2_answer_free(&answer);
}

void
v2_wait_start(struct v2 *v2)
{
	struct etcdlock_client *client = v2->lock->client;
	char *path = v2_encode_wait(v2->lock->key, v2->known + 1);
	/* On a connection of its own, for it takes as long as it takes. */
	struct http_spec spec = {
		.method = "GET", .once = true, .max_body = WAIT_MAX_BODY, .on_done = on_wait_done, .arg = v2
	};

	wait_stop(v2);
	v2->wait_endpoint = endpoints_current(client->endpoints);
	if (path != NULL)
		v2->wait = client_send(client, v2->wait_endpoint, path, &spec, &v2->wait_token);
	free(path);
	if (v2->wait == NULL)
		v2_wait_again(v2, backoff_next(&v2->backoff));
}

static void
on_again(void *arg)
{
	v2_wait_start(arg);
}

void
v2_follow(void *arg)
{
	struct v2 *v2 = arg;

	if (v2->created != 0)
		v2->known = v2->modified;
	if (!v2->following || v2->created != 0 || (v2->wait == NULL && !timer_armed(&v2->again)))
		v2_wait_start(v2);
	v2->following = true;
}

void
v2_follow_stop(struct v2 *v2)
{
	wait_stop(v2);
	v2->following = false;
}

void
v2_wait_init(struct v2 *v2)
{
	v2->backoff = (struct backoff){ .first = 50 * NSEC_PER_MSEC, .cap = NSEC_PER_SEC };
	timer_init(&v2->again, on_again, v2);
}
