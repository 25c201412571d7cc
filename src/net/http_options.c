#include "net/http_request.h"

#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Seconds of silence on a connection before TCP asks whether the peer is there, and between the asking. */
#define TCP_KEEPALIVE_S 15L

/* Called by libcurl: may only store. What is stored is handed on by http_drain(). */
static size_t
store_bytes(char *bytes, size_t size, size_t count, void *arg)
{
	struct http_request *request = arg;

	if (strbuf_append(&request->received, bytes, size * count, request->spec.max_body) == 0)
		return size * count;
	request->overflow = errno;
	return 0;
}

/* The same for headers: nothing of them is used. */
static size_t
count_header(char *bytes, size_t size, size_t count, void *arg)
{
	struct http_request *request = arg;

	(void)bytes;
	request->header_bytes += size * count;
	return request->header_bytes <= HTTP_MAX_HEADERS ? size * count : 0;
}

/* No descriptor of ours is for a program that somebody else starts meanwhile; and where one address did not serve, the
 * next one has its turn. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_request *request = arg;
	const struct avoid *avoid = request->spec.avoid;
	avoid_address text;
	int fd;

	(void)purpose;
	avoid_text(&address->addr, text);
	if (avoid != NULL && !request->any && avoid_has(avoid, text)) {
		request->refused = true;
		return CURL_SOCKET_BAD;
	}
	if (request->opened_count < HTTP_MAX_OPENED)
		strcpy(request->opened[request->opened_count++], text);
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	/* A family that this kernel lacks is no shortage: there might be an address of another one. */
	request->socket_error = fd == -1 && errno != EAFNOSUPPORT ? errno : 0;
	return fd == -1 ? CURL_SOCKET_BAD : fd;
}

struct curl_slist *
http_headers_with(const struct curl_slist *base, const char *line)
{
	struct curl_slist *list = NULL;

	for (; base != NULL || line != NULL; base = base == NULL ? NULL : base->next) {
		struct curl_slist *longer = curl_slist_append(list, base != NULL ? base->data : line);

		if (longer == NULL) {
			curl_slist_free_all(list);
			return NULL;
		}
		list = longer;
		if (base == NULL)
			line = NULL;
	}
	return list;
}

int
request_add_extras(struct http_request *request, const char *connect_to, const char *authorization)
{
	const struct http *http = request->http;

	if (connect_to != NULL) {
		request->connect_to = curl_slist_append(NULL, connect_to);
		if (request->connect_to == NULL)
			return -1;
	}
	if (authorization != NULL) {
		char *line = str_printf("Authorization: %s", authorization);

		if (line != NULL)
			request->headers = http_headers_with(
			    request->spec.require_leader ? http->leader_headers : http->headers, line);
		secret_wipe(line);
		if (request->headers == NULL)
			return -1;
	}
	return 0;
}

/* In milliseconds, as libcurl has them. */
static CURLcode
set_limits(struct http_request *request)
{
	CURLcode code = CURLE_OK;

	if (request->over != NSEC_NEVER) {
		long limit_ms = (long)((request->over - clock_now()) / NSEC_PER_MSEC);

		code = curl_easy_setopt(request->easy, CURLOPT_TIMEOUT_MS, limit_ms > 0 ? limit_ms : 1L);
	}
	if (code == CURLE_OK && request->spec.connect_limit != 0)
		code = curl_easy_setopt(
		    request->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(request->spec.connect_limit / NSEC_PER_MSEC));
	return code;
}

/* A libcurl that was built without proxies has no such option. */
static CURLcode
use_no_proxy(CURL *easy)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_PROXY, "");

	return code == CURLE_UNKNOWN_OPTION || code == CURLE_NOT_BUILT_IN ? CURLE_OK : code;
}

CURLcode
request_set_options(struct http_request *request)
{
	const struct http_spec *spec = &request->spec;
	struct http *http = request->http;
	CURL *easy = request->easy;
	/* Plain http needs none of the files. */
	CURLcode code = strncmp(request->url, "http:", 5) == 0 ? CURLE_OK : tls_apply(&http->tls, easy);
	struct curl_slist *headers = spec->require_leader ? http->leader_headers : http->headers;

#define SET(option, value) \
	do { \
		if (code == CURLE_OK) \
			code = curl_easy_setopt(easy, option, value); \
		if (code != CURLE_OK && request->refused_option == NULL) \
			request->refused_option = #option; \
	} while (0)
	if (http->share != NULL)
		SET(CURLOPT_SHARE, http->share);
	SET(CURLOPT_PRIVATE, request);
	SET(CURLOPT_URL, request->url);
	if (request->unix_socket != NULL)
		SET(CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	if (spec->method == NULL)
		SET(CURLOPT_POSTFIELDS, request->body);
	else
		SET(CURLOPT_CUSTOMREQUEST, spec->method);
	if (request->connect_to != NULL)
		SET(CURLOPT_CONNECT_TO, request->connect_to);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, request);
	SET(CURLOPT_HTTPHEADER, request->headers != NULL ? request->headers : headers);
	SET(CURLOPT_HEADERFUNCTION, count_header);
	SET(CURLOPT_HEADERDATA, request);
	SET(CURLOPT_ERRORBUFFER, request->error);
	SET(CURLOPT_WRITEFUNCTION, store_bytes);
	SET(CURLOPT_WRITEDATA, request);
	SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	SET(CURLOPT_QUICK_EXIT, 1L); /* a resolver that hangs must not hold up the end */
#endif
	/* http_proxy in the environment is meant for other traffic than a lock's. */
	if (code == CURLE_OK)
		code = use_no_proxy(easy);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* A name that has moved is to be found at the next connection. */
	SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, TCP_KEEPALIVE_S);
	SET(CURLOPT_TCP_KEEPINTVL, TCP_KEEPALIVE_S);
	/* A stream keeps its connection for good: leave the warm connection to the requests. And a connection left over
	 * might lead to an address that is to be avoided: whoever froze might have several of ours. */
	if (spec->on_data != NULL || spec->once || (spec->avoid != NULL && avoid_any(spec->avoid)))
		SET(CURLOPT_FRESH_CONNECT, 1L);
#undef SET
	return code == CURLE_OK ? set_limits(request) : code;
}
