/* The inside of http: one request, and what libcurl is told about it. */
#ifndef NET_HTTP_REQUEST_H
#define NET_HTTP_REQUEST_H

#include "base/queue.h"
#include "base/strbuf.h"
#include "net/http.h"

#include <curl/curl.h>

/* The headers of one answer, with their trailers; etcd's have some 300 bytes. */
#define HTTP_MAX_HEADERS ((size_t)64 << 10)

/* Addresses that one request connects to, as far as they are remembered. */
#define HTTP_MAX_OPENED 4

TAILQ_HEAD(http_requests, http_request);

struct http {
	struct loop *loop;
	CURLM *multi;
	struct tls_user tls;
	CURLSH *share;              /* sessions of TLS; NULL: nothing is shared */
	struct timer timer;         /* libcurl's one timer */
	struct curl_slist *headers; /* of every request */
	struct curl_slist *leader_headers;
	struct http_requests active, waiting; /* what libcurl has, and what has no connection yet */
	struct timer next;                    /* a lane has room again */
};

struct http_request {
	struct http *http;
	CURL *easy;                     /* NULL: waiting */
	bool queued;                    /* waiting for room in its lane */
	char *url, *unix_socket, *body; /* ours; those in SPEC are the caller's, and gone */
	struct curl_slist *connect_to, *headers;
	avoid_address opened[HTTP_MAX_OPENED]; /* connected to, or tried to */
	size_t opened_count;
	bool refused; /* an address that is to be avoided was */
	bool any;     /* there is no other: no address is refused */
	size_t header_bytes;
	struct http_spec spec;
	nsec over;          /* when the time limit is reached; NSEC_NEVER */
	struct timer limit; /* while waiting */
	struct strbuf received;
	const char *refused_option; /* the option that libcurl has not taken; or NULL */
	int socket_error;           /* errno, where there was no descriptor for a socket */
	int overflow;               /* errno of what did not fit */
	char error[CURL_ERROR_SIZE];
	TAILQ_ENTRY(http_request) link;
};

/* New headers: BASE's and LINE. NULL when memory is short. */
struct curl_slist *http_headers_with(const struct curl_slist *base, const char *line);

/* Give REQUEST what most do not have. Returns 0, or -1 when memory is short. */
int request_add_extras(struct http_request *request, const char *connect_to, const char *authorization);

/* Tell libcurl all about REQUEST, whose handle is new. */
CURLcode request_set_options(struct http_request *request);

#endif
