#include "net.h"

#include "heap.h"
#include "kernel.h"
#include "member.h"
#include "net/http.h"
#include "node.h"
#include "proc.h"

#include <stdlib.h>
#include <string.h>

/* How often a broken line is tried again, as TCP does; then what was sent is lost. */
#define TRIES 6

struct http {
	struct loop_event *arrived;
	TAILQ_HEAD(, http_request) requests;
	TAILQ_ENTRY(http) link; /* of its process */
};

struct http_request {
	struct http *http;
	struct http_spec spec;
	struct exchange *exchange[2]; /* a request that was repeated behind our back is out twice */
	struct alarm limit;
	/* What has come, to be handed on. */
	bool done;
	struct http_response response;
	char *body;
	struct chunks chunks;
	TAILQ_ENTRY(http_request) link;
};

struct net net;

static LIST_HEAD(, exchange) exchanges;

/* --- on the way --- */

static nsec
delay(void)
{
	if (habits.calm || world.now < net.quiet)
		return between(80000, 600000);
	if (net.slow && one_in(4)) {
		world.tally.faults++;
		return some_span(NSEC_PER_MSEC, 3 * NSEC_PER_SEC);
	}
	if (net.jitters && one_in(15)) {
		world.tally.faults++;
		return some_span(NSEC_PER_MSEC, 1500 * NSEC_PER_MSEC);
	}
	return one_in(500) ? some_span(10 * NSEC_PER_MSEC, 4 * NSEC_PER_SEC) : between(80000, 600000);
}

static bool
is_lost(void)
{
	if (!net.lossy || !one_in(8))
		return false;
	world.tally.faults++;
	return true;
}

static void
chunks_free(struct chunks *chunks)
{
	struct chunk *chunk;

	while ((chunk = STAILQ_FIRST(chunks)) != NULL) {
		STAILQ_REMOVE_HEAD(chunks, link);
		free(chunk);
	}
}

static void
exchange_free(struct exchange *exchange)
{
	chunks_free(&exchange->chunks);
	alarm_stop(&exchange->forth);
	alarm_stop(&exchange->back);
	alarm_stop(&exchange->fin);
	LIST_REMOVE(exchange, link);
	free(exchange->method);
	free(exchange->path);
	free(exchange->body);
	free(exchange->authorization);
	free(exchange->answer);
	free(exchange);
}

static void
exchange_settle(struct exchange *exchange)
{
	if (exchange->client == NULL && exchange->served && exchange->forth.slot == 0)
		exchange_free(exchange);
}

/* The client has what it wanted, or does not want it any more. */
static void
exchange_drop(struct exchange *exchange)
{
	exchange->client = NULL;
	alarm_stop(&exchange->back);
	if (exchange->stream && !exchange->served && exchange->forth.slot == 0)
		alarm_set(&exchange->fin, world.now + delay());
	exchange_settle(exchange);
}

static void
on_fin(void *arg)
{
	struct exchange *exchange = arg;

	if (!exchange->served)
		member_closed(exchange);
	exchange->served = true;
	exchange_settle(exchange);
}

/* What was sent gets there, or not. */
static void
on_forth(void *arg)
{
	struct exchange *exchange = arg;
	const struct line *line = &net.lines[exchange->host][exchange->member];

	if (line->cut_forth || is_lost()) {
		if (exchange->tries++ < TRIES && !one_in(4)) {
			alarm_set(&exchange->forth, world.now + some_span(200 * NSEC_PER_MSEC, 3 * NSEC_PER_SEC));
			return;
		}
		exchange->served = true;
		exchange_settle(exchange);
		return;
	}
	if (exchange->stream && exchange->client == NULL) {
		exchange->served = true;
		exchange_settle(exchange);
		return;
	}
	world.tally.requests++;
	member_request(exchange);
}

/* --- at the client --- */

static void
take_answer(struct exchange *exchange)
{
	struct http_request *request = exchange->client;
	struct chunk *chunk;

	while ((chunk = STAILQ_FIRST(&exchange->chunks)) != NULL) {
		STAILQ_REMOVE_HEAD(&exchange->chunks, link);
		STAILQ_INSERT_TAIL(&request->chunks, chunk, link);
	}
	if (exchange->answered || exchange->ended || exchange->refused || exchange->broken_off) {
		struct exchange *other = request->exchange[request->exchange[0] == exchange];

		request->done = true;
		request->response = (struct http_response){ .status = exchange->status, .sent = !exchange->refused };
		if (exchange->refused || exchange->broken_off) {
			request->response.error = exchange->refused ? "Connection refused" : "Empty reply from server";
			request->response.closed = exchange->broken_off;
		}
		request->body = exchange->answer;
		exchange->answer = NULL;
		request->exchange[0] = request->exchange[1] = NULL;
		if (other != NULL)
			exchange_drop(other);
		exchange_drop(exchange);
		alarm_stop(&request->limit);
	}
	loop_event_activate(request->http->arrived);
}

static void
on_back(void *arg)
{
	struct exchange *exchange = arg;
	const struct line *line = &net.lines[exchange->host][exchange->member];

	if (exchange->client == NULL)
		return;
	if (line->cut_back || is_lost()) {
		if (exchange->tries++ < TRIES)
			alarm_set(&exchange->back, world.now + some_span(200 * NSEC_PER_MSEC, 3 * NSEC_PER_SEC));
		return;
	}
	take_answer(exchange);
}

static void
start_back(struct exchange *exchange)
{
	if (exchange->back.slot == 0 && !(net.buffers && exchange->stream))
		alarm_set(&exchange->back, world.now + delay());
}

/* Something is on its way back; what is behind something else waits for it. */
static void
send_back(struct exchange *exchange)
{
	if (exchange->client == NULL) {
		exchange_settle(exchange);
		return;
	}
	start_back(exchange);
}

/* A move of a key to another lease leaves the key's value as it is. */
static bool
is_renewal_to_lose(const struct exchange *exchange)
{
	return net.loses != NULL && exchange->host == net.loses_host && exchange->node != NULL &&
	    strstr(exchange->body, "ignore_value") != NULL;
}

void
exchange_answer(struct exchange *exchange, long status, const char *body)
{
	if (is_renewal_to_lose(exchange)) {
		alarm_set(net.loses, world.now);
		net.loses = NULL;
		exchange_ignore(exchange);
		return;
	}
	exchange->answered = exchange->served = true;
	exchange->status = status;
	exchange->answer = strdup(body);
	send_back(exchange);
}

void
exchange_stream(struct exchange *exchange, const char *bytes)
{
	size_t len = strlen(bytes);
	struct chunk *chunk;

	if (exchange->client == NULL)
		return;
	chunk = heap_zeroed(sizeof(*chunk) + len);
	chunk->len = len;
	memcpy(chunk->bytes, bytes, len);
	STAILQ_INSERT_TAIL(&exchange->chunks, chunk, link);
	send_back(exchange);
}

void
exchange_end_stream(struct exchange *exchange)
{
	exchange->ended = exchange->served = true;
	exchange->status = 200;
	send_back(exchange);
}

void
exchange_break(struct exchange *exchange)
{
	exchange->served = true;
	if (!exchange->answered && !exchange->ended)
		exchange->broken_off = true;
	send_back(exchange);
}

static void
refuse(struct exchange *exchange)
{
	exchange->served = exchange->refused = true;
	start_back(exchange);
}

void
exchange_ignore(struct exchange *exchange)
{
	exchange->served = true;
	exchange_settle(exchange);
}

/* --- net/http.h --- */

static struct http_request *
find_arrived(struct http *http, bool *more)
{
	struct http_request *request, *found = NULL;
	uint64_t count = 0;

	TAILQ_FOREACH(request, &http->requests, link)
	if ((request->done || !STAILQ_EMPTY(&request->chunks)) && one_in(++count))
		found = request;
	*more = count > 1;
	return found;
}

static void
request_free(struct http_request *request)
{
	for (size_t i = 0; i < 2; i++) {
		if (request->exchange[i] != NULL)
			exchange_drop(request->exchange[i]);
	}
	chunks_free(&request->chunks);
	alarm_stop(&request->limit);
	TAILQ_REMOVE(&request->http->requests, request, link);
	free(request->body);
	free(request);
}

static void
finish(struct http_request *request)
{
	struct http_spec spec = request->spec;
	struct http_response response = request->response;
	char *body = request->body;

	request->body = NULL;
	request_free(request);
	response.body = spec.on_data != NULL || body == NULL ? "" : body;
	response.len = strlen(response.body);
	spec.on_done(spec.arg, &response);
	free(body);
}

static void
on_arrived(int fd, short what, void *arg)
{
	struct http *http = arg;
	struct http_request *request;
	struct chunk *chunk;
	bool more;

	(void)fd;
	(void)what;
	request = find_arrived(http, &more);
	if (request == NULL)
		return;
	chunk = STAILQ_FIRST(&request->chunks);
	if (more || (chunk != NULL && (request->done || STAILQ_NEXT(chunk, link) != NULL)))
		loop_event_activate(http->arrived);
	if (chunk == NULL) {
		finish(request);
		return;
	}
	STAILQ_REMOVE_HEAD(&request->chunks, link);
	request->spec.on_data(request->spec.arg, chunk->bytes, chunk->len);
	free(chunk);
}

static void
on_limit(void *arg)
{
	struct http_request *request = arg;

	for (size_t i = 0; i < 2; i++) {
		if (request->exchange[i] != NULL)
			exchange_drop(request->exchange[i]);
		request->exchange[i] = NULL;
	}
	request->done = true;
	request->response = (struct http_response){ .error = "no answer in time", .sent = true };
	loop_event_activate(request->http->arrived);
}

struct http *
http_new(struct loop *loop, const struct tls *tls)
{
	struct http *http = calloc(1, sizeof(*http));

	(void)tls;
	if (http == NULL)
		return NULL;
	TAILQ_INIT(&http->requests);
	http->arrived = loop_event(loop, -1, 0, PRIORITY_IO, on_arrived, http);
	if (http->arrived == NULL) {
		free(http);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&current->engines, http, link);
	return http;
}

static void
drop_requests(struct http *http)
{
	struct http_request *request, *next;

	for (request = TAILQ_FIRST(&http->requests); request != NULL; request = next) {
		next = TAILQ_NEXT(request, link);
		request_free(request);
	}
}

void
http_free(struct http *http)
{
	if (http == NULL)
		return;
	drop_requests(http);
	TAILQ_REMOVE(&current->engines, http, link);
	loop_event_free(http->arrived);
	free(http);
}

const char *
http_libraries(void)
{
	return "no library";
}

bool
http_works(struct http *http, char *why, size_t size)
{
	(void)http;
	(void)why;
	(void)size;
	return true;
}

/* "http://mN:2379/v3/..." */
static struct exchange *
send_out(struct http_request *request, const struct http_spec *spec, nsec later)
{
	struct proc *self = current;
	struct exchange *exchange;

	current = NULL;
	exchange = heap_zeroed(sizeof(*exchange));
	exchange->client = request;
	exchange->node = self->node;
	exchange->host = self->host->number;
	exchange->member = spec->url[strlen("http://m")] - '0';
	exchange->method = strdup(spec->method != NULL ? spec->method : "POST");
	exchange->path = strdup(strchr(spec->url + strlen("http://"), '/'));
	exchange->body = strdup(spec->body == NULL ? "" : spec->body);
	exchange->authorization = spec->authorization == NULL ? NULL : strdup(spec->authorization);
	exchange->require_leader = spec->require_leader;
	exchange->stream = spec->on_data != NULL;
	exchange->forth = (struct alarm){ .ring = on_forth, .arg = exchange };
	exchange->back = (struct alarm){ .ring = on_back, .arg = exchange };
	exchange->fin = (struct alarm){ .ring = on_fin, .arg = exchange };
	STAILQ_INIT(&exchange->chunks);
	LIST_INSERT_HEAD(&exchanges, exchange, link);
	if (member_is_up(exchange->member) || net.lines[exchange->host][exchange->member].cut_forth) {
		alarm_set(&exchange->forth, world.now + delay() + later);
	} else {
		refuse(exchange);
	}
	current = self;
	return exchange;
}

struct http_request *
http_start(struct http *http, const struct http_spec *spec)
{
	struct http_request *request;

	proc_interrupt();
	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return NULL;
	request->http = http;
	request->spec = *spec;
	request->limit = (struct alarm){ .ring = on_limit, .arg = request };
	STAILQ_INIT(&request->chunks);
	TAILQ_INSERT_TAIL(&http->requests, request, link);
	note("%d: sends m%c %s %s", current->pid, spec->url[strlen("http://m")],
	    strchr(spec->url + strlen("http://"), '/'), spec->body == NULL ? "" : spec->body);
	request->exchange[0] = send_out(request, spec, 0);
	/* libcurl repeats what it sent on a connection that was reused and then found broken. */
	if (!spec->once && !request->exchange[0]->stream && net.lossy && one_in(8)) {
		world.tally.faults++;
		request->exchange[1] = send_out(request, spec, some_span(NSEC_PER_MSEC, 2 * NSEC_PER_SEC));
	}
	if (spec->time_limit > 0)
		alarm_set(&request->limit, world.now + spec->time_limit);
	return request;
}

void
http_cancel(struct http_request *request)
{
	if (request != NULL)
		request_free(request);
}

/* --- for the world --- */

struct exchange *
exchange_alone(const char *method, const char *path, const char *body)
{
	static struct http_request nobody;
	struct exchange *exchange = heap_zeroed(sizeof(*exchange));

	exchange->client = &nobody;
	exchange->member = cluster_state.leader;
	exchange->method = strdup(method);
	exchange->path = strdup(path);
	exchange->body = strdup(body);
	exchange->stream = strcmp(path, "/v3/watch") == 0;
	STAILQ_INIT(&exchange->chunks);
	LIST_INSERT_HEAD(&exchanges, exchange, link);
	/* Nothing is on its way to anybody. */
	exchange->back.slot = SIZE_MAX;
	return exchange;
}

void
net_process_gone(struct proc *proc)
{
	struct http *http;

	TAILQ_FOREACH(http, &proc->engines, link)
	drop_requests(http);
	TAILQ_INIT(&proc->engines);
}

static void
hasten(struct alarm *alarm)
{
	if (alarm->slot != 0 && alarm->at > world.now + NSEC_PER_MSEC)
		alarm_set(alarm, world.now + NSEC_PER_MSEC);
}

void
net_be_quiet(nsec span)
{
	struct exchange *exchange;

	net.quiet = world.now + span;
	LIST_FOREACH(exchange, &exchanges, link)
	{
		hasten(&exchange->forth);
		hasten(&exchange->back);
	}
}

void
net_node_gone(const struct node *node)
{
	struct exchange *exchange;

	LIST_FOREACH(exchange, &exchanges, link)
	if (exchange->node == node)
		exchange->node = NULL;
}

void
net_begin(void)
{
	LIST_INIT(&exchanges);
	net = (struct net){ 0 };
}

void
net_end(void)
{
	struct exchange *exchange, *next;

	for (exchange = LIST_FIRST(&exchanges); exchange != NULL; exchange = next) {
		next = LIST_NEXT(exchange, link);
		exchange_free(exchange);
	}
}
