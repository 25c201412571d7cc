/* HTTP without a network: bytes out are looked at, bytes in are given, as the test says. It takes the place of
 * net/http.c where a test is linked with fake_http.c; beside it everything is real.
 *
 * A request that is sent from inside an answer ends the test. */
#ifndef T_UNIT_FAKE_HTTP_H
#define T_UNIT_FAKE_HTTP_H

#include "net/http.h"

/* How many requests are out. */
size_t http_out(void);

/* How many were sent, ever. */
size_t http_sent(void);

/* The oldest request that is out whose URL or body contains TEXT. Fails the test where there is none. */
struct http_request *http_find(const char *text);

/* True where one is out. */
bool http_is_out(const char *text);

const char *http_url(const struct http_request *request);
const char *http_body(const struct http_request *request);

/* The header "Authorization"; "": none. */
const char *http_authorization(const struct http_request *request);

/* End REQUEST with an answer. BODY is a format of printf(). Then what is posted runs. */
__attribute__((format(printf, 3, 4))) void
http_answer(struct http_request *request, long status, const char *body, ...);

/* End it without one. SENT: the server may have got it. */
void http_fail(struct http_request *request, const char *error, bool sent);

/* End it with an answer that is longer than its owner takes. */
void http_answer_too_long(struct http_request *request);

/* Bytes of a stream. */
__attribute__((format(printf, 2, 3))) void http_stream(struct http_request *request, const char *bytes, ...);

/* The next COUNT requests find no memory. */
void http_starve(size_t count);

#endif
