#include "lock/call.h"
#include "base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>

#define BACKOFF_FIRST (50 * NSEC_PER_MSEC)
#define BACKOFF_CAP NSEC_PER_SEC

/* A cluster that is merely slow must get an answer through in the end: tries grow up to this many times. */
#define TRY_GROWTH 4

/* Plans the next try: at once on an endpoint that has not failed yet in this round, else after a while. */
static void
call_failed(struct call *call, const struct call_trouble *trouble)
{
	struct etcdlock_client *client = call->client;
	nsec delay = 0;

	call->failures++;
	if (trouble->endpoint != NULL)
		endpoints_failed(client->endpoints, trouble->endpoint);
	if (call->failures % client->endpoints->count == 0)
		delay = backoff_next(&call->backoff);
	log_msg(&client->log, LEVEL_DEBUG, "%s: %s", call->path, trouble->text);
	timer_arm(client->loop, &call->retry, clock_add(clock_now(), delay));
	/* Last, for it may stop or restart the call. */
	call->owner.on_trouble(call->owner.arg, trouble);
}

static void
on_done(void *arg, const struct http_response *response)
{
	struct call *call = arg;
	struct call_trouble trouble = { .endpoint = call->endpoint, .sent = true };
	enum call_verdict verdict = CALL_RETRY;
	char text[CALL_TEXT] = "", full[CALL_TEXT + 128];
	unsigned serial = call->serial;

	call->request = NULL;
	if (response->error == NULL)
		verdict = call->owner.on_answer(call->owner.arg, response->status, response->body, response->len, text);
	else
		trouble.sent = response->sent;
	if (call->serial != serial)
		return;
	if (response->error == NULL)
		call->endpoint->unusable = verdict == CALL_UNUSABLE;
	if (verdict == CALL_DONE) {
		call_stop(call);
		return;
	}
	trouble.hopeless = endpoints_all_unusable(call->client->endpoints);
	snprintf(full, sizeof(full), "%s: %s", call->endpoint->name, response->error != NULL ? response->error : text);
	trouble.text = full;
	call_failed(call, &trouble);
}

/* Sends one try. False when memory is short. */
static bool
call_send(struct call *call)
{
	struct http_spec spec = { .body = call->body, .max_body = CALL_MAX_BODY, .on_done = on_done, .arg = call };
	char *url;

	call->endpoint = endpoints_current(call->client->endpoints);
	url = str_printf("%s%s", call->endpoint->url, call->path);
	if (url == NULL)
		return false;
	spec.url = url;
	spec.unix_socket = call->endpoint->unix_socket;
	/* Half a limit more each round. */
	spec.time_limit = call->try_limit / 2 * (nsec)(2 + call->failures / call->client->endpoints->count);
	if (spec.time_limit > TRY_GROWTH * call->try_limit)
		spec.time_limit = TRY_GROWTH * call->try_limit;
	call->sent = clock_now();
	call->request = http_start(call->client->http, &spec);
	free(url);
	return call->request != NULL;
}

static void
on_retry(void *arg)
{
	struct call *call = arg;
	struct call_trouble trouble = { .text = "no memory for a request" };

	if (!call_send(call))
		call_failed(call, &trouble);
}

void
call_init(struct call *call, struct etcdlock_client *client, const struct call_owner *owner)
{
	*call = (struct call){
		.client = client,
		.owner = *owner,
		.backoff = { .first = BACKOFF_FIRST, .cap = BACKOFF_CAP },
	};
	timer_init(&call->retry, on_retry, call);
}

int
call_start(struct call *call, const char *path, char *body, nsec try_limit)
{
	call_stop(call);
	if (body == NULL)
		return -1;
	call->path = path;
	call->body = body;
	call->try_limit = try_limit;
	call->failures = 0;
	backoff_reset(&call->backoff);
	/* No callback from in here: the retry says what is wrong. */
	if (!call_send(call))
		timer_arm(call->client->loop, &call->retry, clock_now());
	return 0;
}

void
call_stop(struct call *call)
{
	call->serial++;
	http_cancel(call->request);
	call->request = NULL;
	timer_disarm(call->client->loop, &call->retry);
	free(call->body);
	call->body = NULL;
	call->path = NULL;
}

bool
call_active(const struct call *call)
{
	return call->path != NULL;
}

bool
call_in_flight(const struct call *call)
{
	return call->request != NULL;
}
