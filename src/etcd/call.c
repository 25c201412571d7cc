#include "etcd/call.h"

#include "base/duration.h"
#include "base/secret.h"
#include "net/discovery.h"

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
		count += attempt_is_out(&call->tries[i]);
	return count;
}

static void
arm_next(struct call *call, nsec at)
{
	timer_arm(call->session->loop, &call->next, at);
}

/* Plans the next try: at once on an endpoint that has not failed yet in this round, else after a while. Where another
 * try is still out, its hedge is planned already. */
static void
call_failed(struct call *call, const struct call_trouble *trouble)
{
	struct session *session = call->session;
	char span[DURATION_TEXT];
	nsec delay = 0;

	call->failures++;
	if (trouble->endpoint != NULL)
		endpoints_failed(session->endpoints, trouble->endpoint);
	if (call->failures % endpoints_count(session->endpoints) == 0) {
		/* Where endpoints were discovered, there might be others by now. */
		if (session->discovery != NULL)
			discovery_look(session->discovery);
		delay = backoff_next(&call->backoff);
	}
	if (in_flight(call) == 0 || !timer_armed(&call->next))
		arm_next(call, clock_add(clock_now(), delay));
	delay = call->next.at - clock_now();
	log_msg(&session->log, LEVEL_DEBUG, "%s: %s; next try in %s", call->path, trouble->text,
	    duration_text(delay > 0 ? delay : 0, span));
	/* Last, for it may stop the call. */
	call->owner.on_trouble(call->owner.arg, trouble);
}

/* What VERDICT tells of the endpoint that it comes from. */
static void
note_endpoint(struct call *call, const struct verdict *verdict)
{
	struct endpoint *endpoint = verdict->endpoint;

	if (verdict->status == 0) {
		if (verdict->not_http)
			endpoint->unusable = true;
		return;
	}
	endpoint_timed(endpoint, clock_now() - verdict->sent_at.boot);
	/* An endpoint that does not know our token has not served us yet. */
	if (verdict->status < 500 && verdict->status != 401)
		endpoints_worked(call->session->endpoints, endpoint);
	endpoint->unusable = verdict->kind == VERDICT_NOT_ETCD;
}

static void
on_done(void *arg, const struct verdict *verdict)
{
	struct call *call = arg;
	struct call_trouble trouble = { .endpoint = verdict->endpoint, .sent = verdict->sent };
	char text[CALL_TEXT], full[CALL_TEXT + 128];

	note_endpoint(call, verdict);
	/* The request goes out again with another token, once at once. */
	if (verdict->kind == VERDICT_TOKEN && !call->reauthorized) {
		call->reauthorized = true;
		arm_next(call, clock_now());
		return;
	}
	snprintf(text, sizeof(text), "%s", verdict->text);
	if (!verdict_is_passing(verdict) && call->owner.on_answer(call->owner.arg, verdict, text) == CALL_DONE) {
		call_stop(call);
		return;
	}
	trouble.answered = verdict->status != 0;
	trouble.hopeless = endpoints_all_unusable(call->session->endpoints);
	snprintf(full, sizeof(full), "%s: %s", verdict->endpoint->name, text);
	trouble.text = full;
	call_failed(call, &trouble);
}

/* Half a limit more each round, up to some; or what ENDPOINT has lately been seen to take, twice. */
static nsec
try_limit(const struct call *call, const struct endpoint *endpoint)
{
	nsec limit = call->try_limit / 2 * (nsec)(2 + call->failures / endpoints_count(call->session->endpoints));

	if (limit < 2 * endpoint->latency)
		limit = 2 * endpoint->latency;
	return limit > TRY_GROWTH * call->try_limit ? TRY_GROWTH * call->try_limit : limit;
}

static bool
is_tried(const struct call *call, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < CALL_TRIES; i++)
		if (attempt_is_out(&call->tries[i]) && call->tries[i].endpoint == endpoint)
			return true;
	return false;
}

/* The first endpoint, in the order of choice, that no try of CALL is out at; or the first of all. */
static struct endpoint *
choose_endpoint(const struct call *call)
{
	struct endpoints *endpoints = call->session->endpoints;

	for (size_t ahead = 0; ahead < endpoints_count(endpoints); ahead++) {
		struct endpoint *endpoint = endpoints_next(endpoints, ahead);

		if (!is_tried(call, endpoint))
			return endpoint;
	}
	return endpoints_current(endpoints);
}

/* Sends one more try, if there is room for it. False when memory is short. */
static bool
call_send(struct call *call)
{
	struct attempt_spec spec = { .api = call->api,
		.method = call->method,
		.path = call->path,
		.body = call->body,
		.anonymous = call->anonymous,
		.in_lane = true,
		.once = call->once,
		.connect_limit = call->connect_limit,
		.max_body = CALL_MAX_BODY,
		.on_done = on_done,
		.arg = call };
	struct attempt *one = call->tries;

	if (!call->anonymous && !credentials_ready(call->session->credentials)) {
		credentials_wait(call->session->credentials, &call->waiter);
		return true;
	}
	while (attempt_is_out(one))
		if (++one == call->tries + CALL_TRIES)
			return true;
	/* A hedge goes elsewhere, if there is an elsewhere. */
	spec.endpoint = choose_endpoint(call);
	spec.time_limit = try_limit(call, spec.endpoint);
	if (attempt_start(one, call->session, &spec) == -1)
		return false;
	if (call->failures > 0)
		arm_next(call, clock_add(one->sent_at.boot, call->try_limit / HEDGE));
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

static void
on_credentials(void *arg)
{
	arm_next(arg, clock_now());
}

/* User and password are refused: that is the answer to this request, too. */
static void
on_refused(void *arg, const struct verdict *verdict)
{
	struct call *call = arg;
	char text[CALL_TEXT];
	const struct call_trouble trouble = { .text = text, .answered = true };

	snprintf(text, sizeof(text), "%s", verdict->text);
	if (call->owner.on_answer(call->owner.arg, verdict, text) == CALL_DONE)
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
call_init(struct call *call, struct session *session, const struct call_owner *owner)
{
	*call = (struct call){
		.session = session,
		.owner = *owner,
		.waiter = { .ready = on_credentials, .refused = on_refused, .trouble = on_token_trouble, .arg = call },
		.backoff = { .first = BACKOFF_FIRST, .cap = BACKOFF_CAP },
	};
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
		arm_next(call, clock_now());
}

int
call_start(struct call *call, const char *path, char *body, nsec limit)
{
	call_stop(call);
	if (body == NULL)
		return -1;
	call->api = ETCD_V3;
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
	call->api = ETCD_V2;
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
	for (size_t i = 0; i < CALL_TRIES; i++)
		attempt_cancel(&call->tries[i]);
	timer_disarm(call->session->loop, &call->next);
	credentials_stop_waiting(&call->waiter);
	/* It might be a password's. */
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
