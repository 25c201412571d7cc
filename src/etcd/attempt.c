#include "etcd/attempt.h"

#include "base/strbuf.h"
#include "etcd/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
classify(const struct attempt *attempt, const struct http_response *response, struct verdict *verdict)
{
	verdict->endpoint = attempt->endpoint;
	verdict->sent_at = attempt->sent_at;
	verdict->sent = response->error == NULL || response->sent;
	verdict->not_http = response->not_http;
	verdict->status = response->error == NULL ? response->status : 0;
	if (response->error != NULL) {
		verdict->kind = response->too_long ? VERDICT_TOO_LONG : VERDICT_NO_ANSWER;
		snprintf(verdict->text, sizeof(verdict->text), "%s", response->error);
	} else if (attempt->on_data != NULL) {
		verdict->kind = VERDICT_TRANSIENT;
		snprintf(verdict->text, sizeof(verdict->text), "the stream has ended");
	} else if (attempt->api == ETCD_V2) {
		verdict->kind =
		    v2_classify(response->status, response->body, response->len, &verdict->v2, verdict->text);
	} else {
		verdict->kind =
		    v3_classify(response->status, response->body, response->len, &verdict->answer, verdict->text);
	}
}

/* Where no /v3 is found, etcd 3.3 has its API under another name (and later versions there, too). A stray 404, once an
 * etcd has been found, changes nothing. */
static void
heed_path(const struct attempt *attempt, struct verdict *verdict)
{
	struct session *session = attempt->session;

	if (attempt->aside)
		return;
	if (verdict->status == 200 && verdict->kind != VERDICT_NOT_ETCD)
		session->found = true;
	if (verdict->kind != VERDICT_NOT_ETCD || attempt->api != ETCD_V3)
		return;
	if (verdict->status == 404 && !session->beta && !session->found) {
		log_msg(&session->log, LEVEL_DEBUG, "no /v3 there: trying /v3beta");
		session->beta = true;
	}
	if (attempt->beta != session->beta)
		verdict->kind = VERDICT_TRANSIENT;
}

/* Some releases of etcd crash in the handler of a request whose token is not good, in place of saying so. Where the
 * request is not repeated, a connection that was closed says nothing. */
static void
heed_token(const struct attempt *attempt, bool closed, struct verdict *verdict)
{
	bool crashed = closed && attempt->api == ETCD_V3 && !attempt->once && attempt->on_data == NULL;
	bool blamed = crashed || verdict->kind == VERDICT_UNAUTHENTICATED;

	if (blamed && credentials_reject(attempt->session->credentials, attempt->serial))
		verdict->kind = VERDICT_TOKEN;
}

static void
on_done(void *arg, const struct http_response *response)
{
	struct attempt *attempt = arg;
	struct verdict verdict = { 0 };

	attempt->request = NULL;
	classify(attempt, response, &verdict);
	heed_path(attempt, &verdict);
	heed_token(attempt, response->closed, &verdict);
	attempt->on_done(attempt->arg, &verdict);
	json_decref(verdict.answer);
	v2_answer_free(&verdict.v2);
}

static void
on_data(void *arg, const char *bytes, size_t len)
{
	struct attempt *attempt = arg;

	attempt->on_data(attempt->arg, bytes, len);
}

int
attempt_start(struct attempt *attempt, struct session *session, const struct attempt_spec *spec)
{
	const bool beta = session->beta && spec->api == ETCD_V3;
	struct http_spec request = { .unix_socket = spec->endpoint->unix_socket,
		.connect_to = spec->endpoint->connect_to,
		.avoid = &spec->endpoint->avoid,
		.body = spec->body,
		.method = spec->method,
		.lane = spec->in_lane ? &spec->endpoint->lane : NULL,
		.require_leader = spec->require_leader,
		.once = spec->once,
		.time_limit = spec->time_limit,
		.connect_limit = spec->connect_limit,
		.max_body = spec->max_body,
		.on_data = spec->on_data == NULL ? NULL : on_data,
		.on_done = on_done,
		.arg = attempt };
	char *url;

	attempt_cancel(attempt);
	url = str_printf("%s%s%s", spec->endpoint->url, beta ? "/v3beta" : "", spec->path + (beta ? strlen("/v3") : 0));
	if (url == NULL)
		return -1;
	*attempt = (struct attempt){ .session = session,
		.endpoint = spec->endpoint,
		.on_data = spec->on_data,
		.on_done = spec->on_done,
		.arg = spec->arg,
		.api = spec->api,
		.aside = spec->aside,
		.once = spec->once,
		.beta = beta,
		.sent_at = clock_moment() };
	request.url = url;
	if (!spec->anonymous)
		request.authorization = credentials_header(session->credentials, &attempt->serial);
	attempt->request = http_start(session->http, &request);
	free(url);
	return attempt->request == NULL ? -1 : 0;
}

void
attempt_cancel(struct attempt *attempt)
{
	http_cancel(attempt->request);
	attempt->request = NULL;
}

bool
attempt_is_out(const struct attempt *attempt)
{
	return attempt->request != NULL;
}

bool
attempt_blame_token(struct attempt *attempt, const char *text)
{
	return v3_blames_token(text) && credentials_reject(attempt->session->credentials, attempt->serial);
}
