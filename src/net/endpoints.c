#include "net/endpoints.h"
#include "base/strbuf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_PORT "2379"

/* True for "1" to "65535" in LEN characters. */
static bool
is_port(const char *text, size_t len)
{
	unsigned long port = 0;

	if (len < 1 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		port = port * 10 + (unsigned long)(text[i] - '0');
	}
	return port >= 1 && port <= 65535;
}

static bool
is_host(const char *text, size_t len, bool bracketed)
{
	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (bracketed ? !isxdigit(c) && strchr(":.%", c) == NULL && !isalnum(c)
			      : !isalnum(c) && strchr("-._", c) == NULL)
			return false;
	}
	return true;
}

/* Splits HOST, HOST:PORT, [V6] or [V6]:PORT. Returns NULL, or what is wrong with it. */
static const char *
split_authority(const char *text, size_t *host_len, const char **port)
{
	bool bracketed = text[0] == '[';
	const char *end = bracketed ? strchr(text, ']') : text + strcspn(text, ":");

	if (end == NULL)
		return "lacks the ']' of an IPv6 address";
	if (!is_host(text + bracketed, (size_t)(end - text) - bracketed, bracketed))
		return "has no valid host name or address; an IPv6 address needs [brackets]";
	end += bracketed;
	*host_len = (size_t)(end - text);
	*port = DEFAULT_PORT;
	if (*end == '\0')
		return NULL;
	if (*end != ':' || !is_port(end + 1, strlen(end + 1)))
		return "has no valid port (1 to 65535) behind its host; an IPv6 address needs [brackets]";
	*port = end + 1;
	return NULL;
}

/* Fills ENDPOINT from TEXT, which it may change. Returns NULL, or what is wrong with it. */
static const char *
endpoint_parse(struct endpoint *endpoint, char *text)
{
	const char *scheme = "http", *authority = text, *port, *wrong;
	size_t host_len, len = strlen(text);

	if (strncasecmp(text, "unix://", 7) == 0) {
		if (text[7] != '/' || text[8] == '\0')
			return "needs an absolute path: unix:///path";
		/* sun_path(7): longer paths cannot be connected to. */
		if (len - 7 > 107)
			return "has a path of more than 107 bytes, too long for a unix socket";
		endpoint->unix_socket = strdup(text + 7);
		endpoint->url = strdup("http://localhost");
		endpoint->name = strdup(text);
		return endpoint->unix_socket && endpoint->url && endpoint->name ? NULL : "does not fit into memory";
	}
	if (strncasecmp(text, "http://", 7) == 0) {
		authority = text + 7;
	} else if (strncasecmp(text, "https://", 8) == 0) {
		scheme = "https";
		authority = text + 8;
	} else if (strstr(text, "://") != NULL) {
		return "has an unknown scheme; http://, https:// and unix:// work";
	}
	if (authority != text && text[len - 1] == '/')
		text[len - 1] = '\0';
	if (strchr(authority, '/') != NULL)
		return "has a path; only scheme, host and port work";
	wrong = split_authority(authority, &host_len, &port);
	if (wrong != NULL)
		return wrong;
	endpoint->url = str_printf("%s://%.*s:%s", scheme, (int)host_len, authority, port);
	endpoint->name = endpoint->url == NULL ? NULL : strdup(endpoint->url);
	return endpoint->name != NULL ? NULL : "does not fit into memory";
}

static char *
trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

struct endpoints *
endpoints_parse(const char *list, char why[ENDPOINTS_ERROR])
{
	struct endpoints *endpoints = calloc(1, sizeof(*endpoints));
	char *copy = strdup(list), *rest = copy, *item;
	size_t commas = 0;

	for (const char *c = list; *c != '\0'; c++)
		commas += *c == ',';
	if (endpoints != NULL)
		endpoints->list = calloc(commas + 1, sizeof(*endpoints->list));
	if (copy == NULL || endpoints == NULL || endpoints->list == NULL) {
		snprintf(why, ENDPOINTS_ERROR, "no memory for the list of endpoints");
		goto fail;
	}
	while ((item = strsep(&rest, ",")) != NULL) {
		const char *wrong;

		item = trim(item);
		wrong = *item == '\0' ? "is empty" : endpoint_parse(&endpoints->list[endpoints->count++], item);
		if (wrong != NULL) {
			snprintf(why, ENDPOINTS_ERROR, "endpoint '%.100s' %s", item, wrong);
			goto fail;
		}
	}
	free(copy);
	return endpoints;

fail:
	free(copy);
	endpoints_free(endpoints);
	return NULL;
}

void
endpoints_free(struct endpoints *endpoints)
{
	if (endpoints == NULL)
		return;
	for (size_t i = 0; i < endpoints->count; i++) {
		free(endpoints->list[i].name);
		free(endpoints->list[i].url);
		free(endpoints->list[i].unix_socket);
	}
	free(endpoints->list);
	free(endpoints);
}

struct endpoint *
endpoints_current(struct endpoints *endpoints)
{
	return &endpoints->list[endpoints->current];
}

struct endpoint *
endpoints_next(struct endpoints *endpoints, size_t ahead)
{
	return &endpoints->list[(endpoints->current + ahead) % endpoints->count];
}

void
endpoints_worked(struct endpoints *endpoints, const struct endpoint *endpoint)
{
	endpoints->current = (size_t)(endpoint - endpoints->list);
}

void
endpoints_failed(struct endpoints *endpoints, const struct endpoint *endpoint)
{
	if (endpoint == endpoints_current(endpoints))
		endpoints->current = (endpoints->current + 1) % endpoints->count;
}

bool
endpoints_all_unusable(const struct endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->count; i++)
		if (!endpoints->list[i].unusable)
			return false;
	return true;
}
