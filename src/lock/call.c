#include "lock/call.h"

#include "base/duration.h"
#include "base/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST (50 * NSEC_PER_MSEC)
#define BACKOFF_CAP NSEC_PER_SEC

/* A cluster that is merely slow must get an answer through in the end: tries grow up to this many times. */
#define TRY_GROWTH 4

/* A hedge is sent after this part of a try's limit. */
#define HEDGE 3

/* How many tries are out. */
static size_t
in_flight(const struct call *call)
{
	size_t count = 0;

	for (size_t i = 0; i < CALL_TRIES; i++)
		count += call->tries[i].request != NULL;
	return count;
}

/* Plans the next try: at once on an endpoint that has not failed yet in this round, else after a while. Where another
 * try is still out, its hedge is planned already. */
static void
call_failed(struct call *call, const struct call_trouble *trouble)
{
	struct etcdlock_client *client = call->client;
	char span[DURATION_TEXT];
	nsec delay = 0;

	call->failures++;
	if (trouble->endpoint != NULL)
		endpoints_failed(client->endpoints, trouble->endpoint);
	if (call->failures % endpoints_count(client->endpoints) == 0) {
		client_rediscover(client);
		delay = backoff_next(&call->backoff);
	}
	if (in_flight(call) == 0 || !timer_armed(&call->next))
		timer_arm(client->loop, &call->next, clock_add(clock_now(), delay));
	delay = call->next.at - clock_now();
	log_msg(&client->log, LEVEL_DEBUG, "%s: %s; next try in %s", call->path, trouble->text,
	    duration_text(delay > 0 ? delay : 0, span));
	/* Last, for it may stop or restart the call. */
	call->owner.on_trouble(call->owner.arg, trouble);
}

static bool call_send(struct call *call);

/* The token that went with ATTEMPT is not good: the request goes out again with another one, once at once. */
static bool
reauthorize(struct call *call, const struct call_try *attempt)
{
	auth_reject(call->client->auth, attempt->token);
	if (call->reauthorized)
		return false;
	call->reauthorized = true;
	return call_send(call);
}

static void
on_done(void *arg, const struct http_response *response)
{
	struct call_try *attempt = arg;
	struct call *call = attempt->call;
	struct call_trouble trouble = { .endpoint = attempt->endpoint, .sent = true };
	enum call_verdict verdict = CALL_RETRY;
	char text[CALL_TEXT] = "", full[CALL_TEXT + 128];
	unsigned serial = call->serial;

	attempt->request = NULL;
	call->sent = attempt->sent;
	call->endpoint = attempt->endpoint;
	if (response->error == NULL)
		endpoint_timed(attempt->endpoint, clock_now() - attempt->sent.boot);
	/* Before the answer is dealt with, for that may bring the next request. One that knows no token of ours has not
	 * served us yet. */
	if (response->error == NULL && response->status < 500 && response->status != 401)
		endpoints_worked(call->client->endpoints, attempt->endpoint);
	if (response->error == NULL)
		verdict = call->owner.on_answer(call->owner.arg, response->status, response->body, response->len, text);
	else
		trouble.sent = response->sent;
	/* Some releases of etcd crash in the handler of a request whose token is not good, in place of saying so. */
	if (response->closed && attempt->token != 0 && call->method == NULL)
		verdict = CALL_UNAUTHORIZED;
	if (response->status == 200 && verdict != CALL_UNUSABLE)
		call->client->found = true;
	if (call->serial != serial)
		return;
	if (verdict == CALL_UNAUTHORIZED && reauthorize(call, attempt))
		return;
	/* Sent before another answer said where etcd's API is. */
	if (verdict == CALL_UNUSABLE && attempt->beta != call->client->beta)
		verdict = CALL_RETRY;
	if (response->error == NULL || response->foreign)
		attempt->endpoint->unusable = response->foreign || verdict == CALL_UNUSABLE;
	if (verdict == CALL_DONE) {
		call_stop(call);
		return;
	}
	trouble.answered = response->error == NULL;
	trouble.hopeless = endpoints_all_unusable(call->client->endpoints);
	snprintf(
	    full, sizeof(full), "%s: %s", attempt->endpoint->name, response->error != NULL ? response->error : text);
	trouble.text = full;
	call_failed(call, &trouble);
}

/* Half a limit more each round, up to some; or what ENDPOINT has lately been seen to take, twice. */
static nsec
try_limit(const struct call *call, const struct endpoint *endpoint)
{
	nsec limit = call->try_limit / 2 * (nsec)(2 + call->failures / endpoints_count(call->client->endpoints));

	if (limit < 2 * endpoint->latency)
		limit = 2 * endpoint->latency;
	return limit > TRY_GROWTH * call->try_limit ? TRY_GROWTH * call->try_limit : limit;
}

/* Sends one more try, if there is room for it. False when memory is short. */
static bool
call_send(struct call *call)
{
	struct http_spec spec = { .method = call->method,
		.body = call->body,
		.once = call->once,
		.max_body = CALL_MAX_BODY,
		.on_done = on_done };
	struct call_try *attempt = call->tries;

	if (!call->anonymous && !auth_ready(call->client->auth)) {
		auth_wait(call->client->auth, &call->waiter);
		return true;
	}
	while (attempt->request != NULL)
		if (++attempt == call->tries + CALL_TRIES)
			return true;
	/* A hedge goes elsewhere, if there is an elsewhere. */
	attempt->endpoint = endpoints_next(call->client->endpoints, in_flight(call));
	spec.lane = &attempt->endpoint->lane;
	spec.connect_limit = call->connect_limit;
	spec.time_limit = try_limit(call, attempt->endpoint);
	spec.arg = attempt;
	attempt->sent = clock_moment();
	attempt->beta = call->client->beta;
	attempt->request =
	    client_send(call->client, attempt->endpoint, call->path, &spec, call->anonymous ? NULL : &attempt->token);
	if (attempt->request == NULL)
		return false;
	if (call->failures > 0)
		timer_arm(call->client->loop, &call->next, clock_add(attempt->sent.boot, call->try_limit / HEDGE));
	return true;
}

static void
on_next(void *arg)
{
	struct call *call = arg;
	struct call_trouble trouble = { .text = "no memory for a request" };

	if (!call_send(call))
		call_failed(call, &trouble);
}

/* User and password are refused: that is the answer to this request, too. */
static void
on_refused(void *arg, long status, const char *body, size_t len)
{
	struct call *call = arg;
	char text[CALL_TEXT] = "";
	const struct call_trouble trouble = { .text = text, .answered = true };
	unsigned serial = call->serial;
	enum call_verdict verdict = call->owner.on_answer(call->owner.arg, status, body, len, text);

	if (call->serial != serial)
		return;
	if (verdict == CALL_DONE)
		call_stop(call);
	else
		call_failed(call, &trouble);
}

/* There is no token yet for this reason. Of the request itself etcd has not heard. */
static void
on_token_trouble(void *arg, const struct call_trouble *trouble)
{
	struct call *call = arg;
	struct call_trouble unsent = *trouble;

	unsent.sent = false;
	call->owner.on_trouble(call->owner.arg, &unsent);
}

void
call_init(struct call *call, struct etcdlock_client *client, const struct call_owner *owner)
{
	*call = (struct call){
		.client = client,
		.owner = *owner,
		.waiter = { .ready = on_next, .refused = on_refused, .trouble = on_token_trouble, .arg = call },
		.backoff = { .first = BACKOFF_FIRST, .cap = BACKOFF_CAP },
	};
	for (size_t i = 0; i < CALL_TRIES; i++)
		call->tries[i].call = call;
	timer_init(&call->next, on_next, call);
}

/* What is to be sent is set: send it. */
static void
call_begin(struct call *call, nsec limit)
{
	call->try_limit = limit;
	call->failures = 0;
	call->reauthorized = false;
	backoff_reset(&call->backoff);
	/* No callback from in here: the next round says what is wrong. */
	if (!call_send(call))
		timer_arm(call->client->loop, &call->next, clock_now());
}

int
call_start(struct call *call, const char *path, char *body, nsec limit)
{
	call_stop(call);
	if (body == NULL)
		return -1;
	call->path = path;
	call->body = body;
	call_begin(call, limit);
	return 0;
}

int
call_request(struct call *call, const char *method, char *path, bool once, nsec limit)
{
	nsec connect_limit = call->connect_limit;

	call_stop(call);
	call->connect_limit = connect_limit;
	if (path == NULL)
		return -1;
	call->method = method;
	call->once = once;
	call->path = call->own_path = path;
	call_begin(call, limit);
	return 0;
}

void
call_limit_connect(struct call *call, nsec limit)
{
	call_stop(call);
	call->connect_limit = limit;
}

void
call_stop(struct call *call)
{
	call->serial++;
	for (size_t i = 0; i < CALL_TRIES; i++) {
		http_cancel(call->tries[i].request);
		call->tries[i].request = NULL;
	}
	timer_disarm(call->client->loop, &call->next);
	auth_stop_waiting(&call->waiter);
	/* It may be a password's. */
	secret_wipe(call->body);
	free(call->own_path);
	call->body = call->own_path = NULL;
	call->path = call->method = NULL;
	call->once = false;
	call->connect_limit = 0;
}

bool
call_active(const struct call *call)
{
	return call->path != NULL;
}

bool
call_in_flight(const struct call *call)
{
	return in_flight(call) > 0;
}
