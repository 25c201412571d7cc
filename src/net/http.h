/* HTTP requests: libcurl's multi interface on a loop.
 *
 * Connections are kept and reused. libcurl repeats a request by itself when a reused connection turns
 * out to be reset: a request must be safe to repeat, or say that it is not. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/clock.h"
#include "base/loop.h"
#include "net/avoid.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>

struct http;
struct http_request;

struct http_response {
	const char *error; /* why no answer came, or NULL: the rest is valid. Ends with a system's text */
	bool sent;         /* with an error: the server might have got the request all the same */
	bool not_http;     /* with an error: what came is no HTTP/1 */
	bool too_long;     /* with an error: the answer has more than max_body */
	bool closed;       /* with an error: the server has closed the connection instead of an answer */
	long status;       /* HTTP status, 100 to 999 */
	const char *body;  /* NUL-terminated; empty for a stream, whose bytes went to on_data */
	size_t len;
};

/* True for statuses of servers and proxies that are busy, or have lost what is behind them: it might work later. */
static inline bool
http_status_is_transient(long status)
{
	return status >= 500 || status == 408 || status == 425 || status == 429;
}

/* So many requests are under way at a time to one server; others wait in their order. */
#define HTTP_LANE 32

/* A server's share. Zero it, and keep it as long as its requests. */
struct http_lane {
	size_t active, waiting;
	nsec moved; /* when an answer last came */
};

struct http_spec {
	const char *url;           /* this and the next four are copied */
	const char *unix_socket;   /* connect here instead; or NULL */
	const char *connect_to;    /* or there, as CURLOPT_CONNECT_TO(3) has it; or NULL */
	const char *authorization; /* the header of this name; or NULL */
	const char *body;          /* JSON to POST; our copy of it is wiped at the end */
	const char *method;        /* without a body, a static string; NULL: POST */
	struct http_lane *lane;    /* NULL: it does not count, and never waits (streams) */
	struct avoid *avoid;       /* the server's, kept as LANE is */
	bool require_leader;       /* have a member without a leader refuse at once */
	bool once;                 /* not safe to repeat: sent on a connection of its own, where libcurl never does */
	nsec time_limit;           /* for the whole exchange, with the waiting for a connection; 0: none (streams) */
	nsec connect_limit;        /* for the connection alone, where that is to be less; 0: none of its own */
	size_t max_body;           /* a longer answer is an error */

	/* For a stream: gets the bytes as they come. It may call http_cancel(). NULL: they are collected. */
	void (*on_data)(void *arg, const char *bytes, size_t len);
	/* Called once at the end, unless cancelled. The request is gone when it is called. */
	void (*on_done)(void *arg, const struct http_response *response);
	void *arg;
};

/* The libraries that speak HTTP and TLS, with their versions: "libcurl/7.88.1 OpenSSL/3.0.20". */
const char *http_libraries(void);

/* A new engine on LOOP, which must outlive it. TLS is copied; NULL: as the system has it. NULL when memory is short. */
struct http *http_new(struct loop *loop, const struct tls *tls);

/* Try whether this libcurl takes all that we tell it: true, or in WHY (of SIZE bytes) a sentence. */
bool http_works(struct http *http, char *why, size_t size);

/* Requests under way are dropped without a callback. NULL is fine. */
void http_free(struct http *http);

/* Start a request. Callbacks come from the loop, never from inside this call. Returns NULL when memory is
 * short. */
__attribute__((warn_unused_result)) struct http_request *http_start(struct http *http, const struct http_spec *spec);

/* Drop REQUEST without a callback; the connection of an unfinished one is closed. NULL is fine. */
void http_cancel(struct http_request *request);

#endif
