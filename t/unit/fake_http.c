#include "fake_http.h"

#include "fake_loop.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http_request {
	char *url, *body, *authorization;
	struct http_spec spec;
	TAILQ_ENTRY(http_request) link;
};

static TAILQ_HEAD(, http_request) all = TAILQ_HEAD_INITIALIZER(all);
static size_t sent, starving;
static bool answering;

/* --- as net/http.h has it --- */

struct http *
http_new(struct loop *loop, const struct tls *tls)
{
	(void)loop;
	(void)tls;
	return (struct http *)&sent;
}

void
http_free(struct http *http)
{
	(void)http;
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

static void
request_free(struct http_request *request)
{
	TAILQ_REMOVE(&all, request, link);
	free(request->url);
	free(request->body);
	free(request->authorization);
	free(request);
}

struct http_request *
http_start(struct http *http, const struct http_spec *spec)
{
	struct http_request *request;

	(void)http;
	if (answering)
		fail_msg("%s is sent from inside an answer", spec->url);
	if (starving > 0) {
		starving--;
		return NULL;
	}
	request = calloc(1, sizeof(*request));
	request->url = strdup(spec->url);
	request->body = strdup(spec->body == NULL ? "" : spec->body);
	request->authorization = strdup(spec->authorization == NULL ? "" : spec->authorization);
	request->spec = *spec;
	TAILQ_INSERT_TAIL(&all, request, link);
	sent++;
	return request;
}

void
http_cancel(struct http_request *request)
{
	if (request != NULL)
		request_free(request);
}

/* --- for tests --- */

size_t
http_out(void)
{
	struct http_request *request;
	size_t count = 0;

	TAILQ_FOREACH(request, &all, link)
	count++;
	return count;
}

size_t
http_sent(void)
{
	return sent;
}

static struct http_request *
find(const char *text)
{
	struct http_request *request;

	TAILQ_FOREACH(request, &all, link)
	if (strstr(request->url, text) != NULL || strstr(request->body, text) != NULL)
		return request;
	return NULL;
}

bool
http_is_out(const char *text)
{
	return find(text) != NULL;
}

struct http_request *
http_find(const char *text)
{
	struct http_request *request = find(text);

	if (request == NULL)
		fail_msg("no request is out with '%s'", text);
	return request;
}

const char *
http_url(const struct http_request *request)
{
	return request->url;
}

const char *
http_body(const struct http_request *request)
{
	return request->body;
}

const char *
http_authorization(const struct http_request *request)
{
	return request->authorization;
}

static void
end(struct http_request *request, const struct http_response *response)
{
	struct http_spec spec = request->spec;

	request_free(request);
	answering = true;
	spec.on_done(spec.arg, response);
	answering = false;
	fake_loop_run();
}

void
http_answer(struct http_request *request, long status, const char *body, ...)
{
	char text[4096];
	va_list arguments;

	va_start(arguments, body);
	vsnprintf(text, sizeof(text), body, arguments);
	va_end(arguments);
	end(request, &(struct http_response){ .status = status, .body = text, .len = strlen(text) });
}

void
http_fail(struct http_request *request, const char *error, bool was_sent)
{
	end(request, &(struct http_response){ .error = error, .sent = was_sent, .body = "" });
}

void
http_answer_too_long(struct http_request *request)
{
	end(request, &(struct http_response){ .error = "too long", .sent = true, .too_long = true, .body = "" });
}

void
http_stream(struct http_request *request, const char *bytes, ...)
{
	char text[4096];
	va_list arguments;

	va_start(arguments, bytes);
	vsnprintf(text, sizeof(text), bytes, arguments);
	va_end(arguments);
	answering = true;
	request->spec.on_data(request->spec.arg, text, strlen(text));
	answering = false;
	fake_loop_run();
}

void
http_starve(size_t count)
{
	starving = count;
}
