#include "net/http_request.h"

#include "base/secret.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
request_free(struct http_request *request)
{
	struct http *http = request->http;

	timer_disarm(http->loop, &request->limit);
	if (request->easy != NULL) {
		TAILQ_REMOVE(&http->active, request, link);
		/* A child that was forked must say nothing on its parent's connections, not even goodbye. */
		if (loop_is_ours(http->loop)) {
			curl_multi_remove_handle(http->multi, request->easy);
			curl_easy_cleanup(request->easy);
		}
		if (request->spec.lane != NULL)
			request->spec.lane->active--;
		if (!TAILQ_EMPTY(&http->waiting))
			timer_arm(http->loop, &http->next, clock_now());
	} else {
		TAILQ_REMOVE(&http->waiting, request, link);
		if (request->queued)
			request->spec.lane->waiting--;
	}
	free(request->url);
	free(request->unix_socket);
	secret_wipe(request->body);
	curl_slist_free_all(request->connect_to);
	curl_slist_free_all(request->headers);
	strbuf_free(&request->received);
	free(request);
}

#define GRPC_ALONE "; a port of gRPC alone? Its HTTP is at the address of etcd's --listen-client-http-urls"

/* What to look at, where libcurl's text does not say it. */
static const char *
hint(CURLcode code, const char *text, bool https, bool served)
{
	switch ((int)code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return strstr(text, "issuer") != NULL || strstr(text, "self-signed") != NULL
		    ? "; does cacert name who has signed it?"
		    : "";
	case CURLE_SSL_CERTPROBLEM:
		return "; cert and cert-key must be PEM and belong together, the key without a pass phrase";
	case CURLE_SSL_CACERT_BADFILE:
		return "; cacert must be PEM";
	case CURLE_UNSUPPORTED_PROTOCOL:
		return GRPC_ALONE;
	case CURLE_GOT_NOTHING:
		return https || served ? "" : "; does it want https?";
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_RECV_ERROR:
		if (strstr(text, "application protocol") != NULL)
			return GRPC_ALONE;
		if (strstr(text, "alert") != NULL)
			return "; it does not take our client certificate (cert), or wants one";
		return https && code == CURLE_SSL_CONNECT_ERROR ? "; does it want http?" : "";
	default:
		return "";
	}
}

static int
os_error(const struct http_request *request)
{
	long number = 0;

	curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &number);
	return (int)number;
}

/* CURLE_TOO_LARGE, from libcurl 8.6 on; those before it call it CURLE_OUT_OF_MEMORY. */
#define TOO_LARGE 100

static void
describe_failure(const struct http_request *request, CURLcode code, char *text, size_t size)
{
	const char *own = request->error[0] != '\0' ? request->error : curl_easy_strerror(code);
	const struct http_lane *lane = request->spec.lane;
	int len = (int)strlen(own);

	if (request->overflow == EMSGSIZE)
		snprintf(text, size, "the answer is longer than %zu bytes", request->spec.max_body);
	else if (request->overflow != 0)
		snprintf(text, size, "no memory for the answer");
	else if (request->header_bytes > HTTP_MAX_HEADERS)
		snprintf(text, size, "the answer has more than %zu bytes of headers", HTTP_MAX_HEADERS);
	else if ((int)code == TOO_LARGE)
		snprintf(text, size, "a header line of the answer is too long");
	else if (code == CURLE_OUT_OF_MEMORY)
		snprintf(text, size, "no memory for the answer, or a header line of it is too long");
	else if (request->socket_error != 0)
		snprintf(text, size, "no socket: %s%s", strerror(request->socket_error),
		    request->socket_error == EMFILE ? " (ulimit -n)" : "");
	else if (code == CURLE_COULDNT_CONNECT && request->unix_socket != NULL)
		snprintf(text, size, "cannot connect to the socket: %s", strerror(os_error(request)));
	else if (code == CURLE_OPERATION_TIMEDOUT)
		snprintf(text, size, "no answer within %lld ms", (long long)(request->spec.time_limit / NSEC_PER_MSEC));
	else
		snprintf(text, size, "%.*s%s", len > 0 && own[len - 1] == ' ' ? len - 1 : len, own,
		    hint(code, own, strncmp(request->url, "https:", 6) == 0, lane == NULL || lane->moved != 0));
}

/* Hands a stream's bytes on. The callback may cancel the request: then this returns false. */
static bool
request_deliver(struct http_request *request)
{
	struct strbuf bytes = request->received;
	struct http *http = request->http;
	struct http_request *still;

	if (request->spec.on_data == NULL || bytes.len == 0)
		return true;
	request->received = (struct strbuf){ 0 };
	request->spec.on_data(request->spec.arg, bytes.data, bytes.len);
	strbuf_free(&bytes);
	TAILQ_FOREACH(still, &http->active, link)
	if (still == request)
		return true;
	return false;
}

/* Ends REQUEST with RESPONSE, whose body it is. */
static void
request_end(struct http_request *request, struct http_response *response)
{
	struct http_spec spec = request->spec;
	struct strbuf body = request->received;

	request->received = (struct strbuf){ 0 };
	response->body = body.data == NULL ? "" : body.data;
	response->len = body.len;
	request_free(request);
	spec.on_done(spec.arg, response);
	strbuf_free(&body);
}

/* The addresses that it was sent to have not served it. */
static void
avoid_used(const struct http_request *request)
{
	struct avoid *avoid = request->spec.avoid;
	char *used = NULL;

	for (size_t i = 0; i < request->opened_count; i++)
		avoid_add(avoid, request->opened[i]);
	/* On a connection that was there already. */
	if (request->opened_count == 0 && curl_easy_getinfo(request->easy, CURLINFO_PRIMARY_IP, &used) == CURLE_OK &&
	    used != NULL && strlen(used) < sizeof(avoid_address)) {
		avoid_address address;

		strcpy(address, used);
		avoid_add(avoid, address);
	}
}

/* Where only addresses were left that are to be avoided, they are taken after all. True where it goes on. */
static bool
request_again(struct http_request *request)
{
	struct http *http = request->http;

	if (!request->refused || request->opened_count > 0 || request->any)
		return false;
	request->any = true;
	request->error[0] = '\0';
	curl_multi_remove_handle(http->multi, request->easy);
	return curl_multi_add_handle(http->multi, request->easy) == CURLM_OK;
}

static void
request_finish(struct http_request *request, CURLcode code)
{
	struct http_response response = { 0 };
	char failure[CURL_ERROR_SIZE + 128];

	if (!request_deliver(request))
		return;
	if (code != CURLE_OK && request->spec.avoid != NULL) {
		if (request_again(request))
			return;
		avoid_used(request);
	}
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		tls_distrusted(&request->http->tls);
	if (code != CURLE_OK) {
		long request_size = 0;

		curl_easy_getinfo(request->easy, CURLINFO_REQUEST_SIZE, &request_size);
		response.sent = request_size > 0;
		response.closed = code == CURLE_GOT_NOTHING;
		response.too_long = request->overflow == EMSGSIZE;
		/* As libcurl calls what has no status line. */
		response.not_http = code == CURLE_UNSUPPORTED_PROTOCOL;
		describe_failure(request, code, failure, sizeof(failure));
		response.error = failure;
	} else {
		curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &response.status);
		if (request->spec.lane != NULL)
			request->spec.lane->moved = clock_now();
	}
	request_end(request, &response);
}

/* Hands on everything that libcurl stored. Nothing of libcurl's might be on the stack. */
static void
http_drain(struct http *http)
{
	struct http_request *request;
	CURLMsg *message;
	int left;

again:
	TAILQ_FOREACH(request, &http->active, link)
	{
		if (request->spec.on_data != NULL && request->received.len > 0) {
			request_deliver(request);
			goto again; /* the callback might have changed the list */
		}
	}
	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
		request_finish(request, code);
	}
}

static void
http_act(struct http *http, curl_socket_t fd, int events)
{
	int running;

	curl_multi_socket_action(http->multi, fd, events, &running);
	http_drain(http);
}

static void
on_timer(void *arg)
{
	http_act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void
on_socket(int fd, short what, void *arg)
{
	http_act(arg, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

/* CURLMOPT_TIMERFUNCTION: libcurl is on the stack, so a zero timeout arms the timer too. */
static int
set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http *http = arg;

	(void)multi;
	timer_arm(
	    http->loop, &http->timer, timeout_ms < 0 ? NSEC_NEVER : clock_add(clock_now(), timeout_ms * NSEC_PER_MSEC));
	return 0;
}

/* CURLMOPT_SOCKETFUNCTION. EVENT is what curl_multi_assign() stored for the socket: ours, or NULL. */
static int
set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http *http = arg;
	struct loop_event *event = socket_arg;
	short interest = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	if (event != NULL) {
		if (what != CURL_POLL_REMOVE && loop_event_what(event) == interest)
			return 0;
		loop_event_free(event);
		curl_multi_assign(http->multi, fd, NULL);
	}
	if (what == CURL_POLL_REMOVE)
		return 0;
	event = loop_watch(http->loop, fd, interest, PRIORITY_IO, on_socket, http);
	/* To say so would end every transfer of libcurl's for good. This one times out, and is tried again. */
	if (event == NULL)
		return 0;
	curl_multi_assign(http->multi, fd, event);
	return 0;
}

/* Hands REQUEST to libcurl. Returns 0, or -1 when memory is short. */
static int
request_begin(struct http_request *request)
{
	struct http *http = request->http;

	timer_disarm(http->loop, &request->limit);
	request->easy = curl_easy_init();
	if (request->easy == NULL)
		return -1;
	TAILQ_REMOVE(&http->waiting, request, link);
	TAILQ_INSERT_TAIL(&http->active, request, link);
	if (request->queued)
		request->spec.lane->waiting--;
	request->queued = false;
	if (request->spec.lane != NULL)
		request->spec.lane->active++;
	if (request_set_options(request) != CURLE_OK)
		return -1;
	return curl_multi_add_handle(http->multi, request->easy) == CURLM_OK ? 0 : -1;
}

static void
request_fail(struct http_request *request, const char *why)
{
	struct http_response response = { .error = why };

	request_end(request, &response);
}

/* Where the lane moves, the server is only busy, and our turn comes. Where it stands, the server does not answer. */
static void
on_limit(void *arg)
{
	struct http_request *request = arg;
	nsec again = clock_add(request->spec.lane->moved, request->spec.time_limit);

	if (again <= clock_now()) {
		request_fail(request, "no connection was free in time");
		return;
	}
	timer_arm(request->http->loop, &request->limit, again);
}

static void
on_next(void *arg)
{
	struct http *http = arg;
	struct http_request *request;

again:
	TAILQ_FOREACH(request, &http->waiting, link)
	{
		if (request->spec.lane->active >= HTTP_LANE)
			continue;
		/* Its time begins now. */
		request->over = clock_add(clock_now(), request->spec.time_limit);
		if (request_begin(request) == -1)
			request_fail(request, "no memory for a request");
		goto again; /* the list has changed */
	}
}

static char *
copy(const char *text, bool *failed)
{
	char *own = text == NULL ? NULL : strdup(text);

	*failed = *failed || (text != NULL && own == NULL);
	return own;
}

struct http_request *
http_start(struct http *http, const struct http_spec *spec)
{
	struct http_request *request = calloc(1, sizeof(*request));
	bool failed = false;

	if (request == NULL)
		return NULL;
	request->http = http;
	request->spec = *spec;
	request->url = copy(spec->url, &failed);
	request->unix_socket = copy(spec->unix_socket, &failed);
	request->body = copy(spec->body, &failed);
	failed = failed || request_add_extras(request, spec->connect_to, spec->authorization) == -1;
	request->spec.url = request->spec.body = request->spec.unix_socket = NULL;
	request->spec.connect_to = request->spec.authorization = NULL;
	request->over = spec->time_limit == 0 ? NSEC_NEVER : clock_add(clock_now(), spec->time_limit);
	timer_init(&request->limit, on_limit, request);
	TAILQ_INSERT_TAIL(&http->waiting, request, link);
	/* Behind those that wait already. */
	request->queued = spec->lane != NULL && (spec->lane->active >= HTTP_LANE || spec->lane->waiting > 0);
	if (request->queued)
		spec->lane->waiting++;
	if (!failed && request->queued)
		timer_arm(http->loop, &request->limit, request->over);
	else if (failed || request_begin(request) == -1) {
		request_free(request);
		return NULL;
	}
	return request;
}

void
http_cancel(struct http_request *request)
{
	if (request != NULL)
		request_free(request);
}

const char *
http_libraries(void)
{
	static char text[96];
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	snprintf(text, sizeof(text), "libcurl/%s %s", info->version,
	    info->ssl_version == NULL ? "without TLS" : info->ssl_version);
	return text;
}

bool
http_works(struct http *http, char *why, size_t size)
{
	struct http_lane lane = { 0 };
	struct http_request trial = { .http = http,
		.url = (char *)(uintptr_t) "https://localhost/",
		.body = (char *)(uintptr_t) "{}",
		.spec = { .lane = &lane },
		.over = NSEC_NEVER,
		.easy = curl_easy_init() };
	CURLcode code = trial.easy == NULL ? CURLE_OUT_OF_MEMORY : request_set_options(&trial);

	if (code == CURLE_OUT_OF_MEMORY)
		snprintf(why, size, "no memory");
	else if (code != CURLE_OK)
		snprintf(why, size, "libcurl %s does not take %s: %s", curl_version_info(CURLVERSION_NOW)->version,
		    trial.refused_option == NULL ? "a certificate's option" : trial.refused_option,
		    curl_easy_strerror(code));
	curl_easy_cleanup(trial.easy);
	return code == CURLE_OK;
}

struct http *
http_new(struct loop *loop, const struct tls *tls)
{
	struct http *http;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	http = calloc(1, sizeof(*http));
	if (http == NULL) {
		curl_global_cleanup();
		return NULL;
	}
	http->loop = loop;
	TAILQ_INIT(&http->active);
	TAILQ_INIT(&http->waiting);
	timer_init(&http->timer, on_timer, http);
	timer_init(&http->next, on_next, http);
	http->multi = curl_multi_init();
	http->headers = http_headers_with(NULL, "Content-Type: application/json");
	http->leader_headers = http_headers_with(http->headers, "Grpc-Metadata-Hasleader: true");
	http->share = curl_share_init();
	if (http->share != NULL)
		(void)curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	if (tls_begin(&http->tls, tls) == -1 || http->multi == NULL || http->headers == NULL ||
	    http->leader_headers == NULL) {
		http_free(http);
		return NULL;
	}
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	return http;
}

static void
free_all(struct http_requests *requests)
{
	struct http_request *request, *next;

	for (request = TAILQ_FIRST(requests); request != NULL; request = next) {
		next = TAILQ_NEXT(request, link);
		request_free(request);
	}
}

void
http_free(struct http *http)
{
	if (http == NULL)
		return;
	free_all(&http->waiting);
	free_all(&http->active);
	timer_disarm(http->loop, &http->next);
	if (http->multi != NULL && loop_is_ours(http->loop))
		curl_multi_cleanup(http->multi);
	timer_disarm(http->loop, &http->timer);
	curl_slist_free_all(http->headers);
	curl_slist_free_all(http->leader_headers);
	(void)curl_share_cleanup(http->share);
	tls_end(&http->tls);
	if (loop_is_ours(http->loop))
		curl_global_cleanup();
	free(http);
}
