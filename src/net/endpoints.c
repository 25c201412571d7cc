#include "base/random.h"
#include "base/strbuf.h"
#include "net/endpoints.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_PORT "2379"

/* An endpoint that failed is not the first choice for so long. */
#define ILL_FOR (10 * NSEC_PER_SEC)

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

/* Splits HOST, HOST:PORT, :PORT (of this host, as etcd-lock 1.x has it), [V6] or [V6]:PORT. Returns NULL, or what is
 * wrong with it. */
static const char *
split_authority(const char *text, size_t *host_len, const char **port)
{
	bool bracketed = text[0] == '[', here = text[0] == ':';
	const char *end = bracketed ? strchr(text, ']') : text + strcspn(text, ":");

	if (end == NULL)
		return "lacks the ']' of an IPv6 address";
	if (!here && !is_host(text + bracketed, (size_t)(end - text) - bracketed, bracketed))
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

#define NO_ROOM "does not fit into memory"

static const char *
unix_parse(struct endpoint *endpoint, const char *text)
{
	const char *path = text + 7;

	if (path[0] != '/' || path[1] == '\0')
		return "needs an absolute path: unix:///path";
	/* sun_path(7): longer paths cannot be connected to. */
	if (strlen(path) > 107)
		return "has a path of more than 107 bytes, too long for a unix socket";
	*endpoint = (struct endpoint){ .unix_socket = str_printf("%s", path),
		.url = str_printf("http://localhost"),
		.name = str_printf("%s", text) };
	return endpoint->unix_socket && endpoint->url && endpoint->name ? NULL : NO_ROOM;
}

/* Fills ENDPOINT from TEXT, which it may change. Returns NULL, or what is wrong with it. */
static const char *
endpoint_parse(struct endpoint *endpoint, char *text, const struct tls *tls)
{
	const char *scheme = tls_is_set(tls) ? "https" : "http", *authority = text, *port, *wrong;
	size_t host_len, len = strlen(text);

	if (strncasecmp(text, "unix://", 7) == 0)
		return unix_parse(endpoint, text);
	if (strncasecmp(text, "unix:", 5) == 0)
		return "is no path of a socket; unix:///path works";
	if (strncasecmp(text, "http://", 7) == 0) {
		scheme = "http";
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
	if (host_len == 0) {
		authority = "localhost";
		host_len = strlen(authority);
	}
	/* An address, not a name that might have several. */
	endpoint->avoid.single = authority[0] == '[' || strspn(authority, "0123456789.") == host_len;
	endpoint->name = str_printf("%s://%.*s:%s", scheme, (int)host_len, authority, port);
	if (endpoint->name == NULL)
		return NO_ROOM;
	if (tls->server_name == NULL || strcmp(scheme, "https") != 0) {
		endpoint->url = strdup(endpoint->name);
		return endpoint->url != NULL ? NULL : NO_ROOM;
	}
	/* The certificate is checked against the name in the URL. */
	endpoint->url = str_printf("https://%s:%s", tls->server_name, port);
	endpoint->connect_to = str_printf("::%.*s:%s", (int)host_len, authority, port);
	return endpoint->url && endpoint->connect_to ? NULL : NO_ROOM;
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
endpoints_parse(const char *list, const struct tls *tls, char why[ENDPOINTS_ERROR])
{
	struct endpoints *endpoints = calloc(1, sizeof(*endpoints));
	char *copy = strdup(list), *rest = copy, *item;
	size_t commas = 0;

	for (const char *c = list; *c != '\0'; c++)
		commas += *c == ',';
	if (endpoints != NULL)
		endpoints->list = calloc(commas + 1, sizeof(*endpoints->list));
	if (endpoints != NULL)
		endpoints->room = commas + 1;
	if (copy == NULL || endpoints == NULL || endpoints->list == NULL) {
		snprintf(why, ENDPOINTS_ERROR, "no memory for the list of endpoints");
		goto fail;
	}
	while ((item = strsep(&rest, ",")) != NULL) {
		const char *wrong;

		item = trim(item);
		if (strchr(item, '@') != NULL && strncasecmp(item, "unix://", 7) != 0) {
			/* Not what is before it: that might be a password. */
			snprintf(why, ENDPOINTS_ERROR,
			    "endpoint '...%.100s' has a user in it; only scheme, host and port work: the user is a "
			    "setting of its own",
			    strrchr(item, '@'));
			goto fail;
		}
		wrong = *item == '\0' ? "is empty" : endpoint_parse(&endpoints->list[endpoints->count++], item, tls);
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

static void
endpoint_clear(struct endpoint *endpoint)
{
	free(endpoint->name);
	free(endpoint->url);
	free(endpoint->unix_socket);
	free(endpoint->connect_to);
	*endpoint = (struct endpoint){ 0 };
}

/* How many are there at most, with those that have gone. */
#define ROOM 64

struct endpoints *
endpoints_of_domain(const char *domain)
{
	struct endpoints *endpoints = calloc(1, sizeof(*endpoints));

	if (endpoints != NULL)
		endpoints->list = calloc(ROOM, sizeof(*endpoints->list));
	if (endpoints != NULL && endpoints->list != NULL) {
		endpoints->room = ROOM;
		endpoints->count = 1;
		endpoints->list[0].name = str_printf("the SRV records of %s", domain);
		/* No host can have this name. */
		endpoints->list[0].url = str_printf("http://_etcd-client._tcp.%s:" DEFAULT_PORT, domain);
		if (endpoints->list[0].name != NULL && endpoints->list[0].url != NULL)
			return endpoints;
	}
	endpoints_free(endpoints);
	return NULL;
}

/* The one of NAME, new where it is not there yet; NULL: there is no room. */
static struct endpoint *
find_or_add(struct endpoints *endpoints, const struct srv_target *target, bool https, const char *server_name)
{
	char name[sizeof(target->host) + 16];
	struct endpoint *endpoint = endpoints->list, fresh = { 0 };
	const char *wrong;

	snprintf(name, sizeof(name), "%s://%s:%u", https ? "https" : "http", target->host, target->port);
	for (; endpoint < endpoints->list + endpoints->count; endpoint++)
		if (strcmp(endpoint->name, name) == 0)
			return endpoint;
	if (endpoints->count == endpoints->room)
		return NULL;
	wrong =
	    endpoint_parse(&fresh, name, &(struct tls){ .server_name = https ? (char *)(uintptr_t)server_name : NULL });
	if (wrong != NULL) {
		endpoint_clear(&fresh);
		return NULL;
	}
	endpoint = &endpoints->list[endpoints->count++];
	*endpoint = fresh;
	return endpoint;
}

void
endpoints_learn(struct endpoints *endpoints, const struct srv_answer *answer, const char *server_name)
{
	struct endpoint *found[SRV_TARGETS];
	size_t count = 0, at = endpoints->current;

	for (size_t i = 0; i < answer->count; i++) {
		found[count] = find_or_add(endpoints, &answer->targets[i], answer->https, server_name);
		count += found[count] != NULL;
	}
	if (count == 0)
		return;
	for (size_t i = 0; i < endpoints->count; i++)
		endpoints->list[i].gone = true;
	for (size_t i = 0; i < count; i++)
		found[i]->gone = false;
	/* A fleet with one domain is to spread over the members. */
	if (endpoints->list[at].gone)
		endpoints->current = (size_t)(found[random_uint64() % count] - endpoints->list);
}

size_t
endpoints_count(const struct endpoints *endpoints)
{
	size_t count = 0;

	for (size_t i = 0; i < endpoints->count; i++)
		count += !endpoints->list[i].gone;
	return count;
}

void
endpoints_free(struct endpoints *endpoints)
{
	if (endpoints == NULL)
		return;
	for (size_t i = 0; i < endpoints->count; i++)
		endpoint_clear(&endpoints->list[i]);
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
	const nsec recent = clock_now() - ILL_FOR;
	size_t count = endpoints->count, present = endpoints_count(endpoints);

	ahead %= present > 0 ? present : 1;
	for (int ill = 0; ill <= 1; ill++)
		for (size_t i = 0; i < count; i++) {
			struct endpoint *endpoint = &endpoints->list[(endpoints->current + i) % count];
			/* The current one is the first choice even so: all might be ill. */
			bool late = i > 0 && endpoint->failed != 0 && endpoint->failed > recent;

			if (!endpoint->gone && late == ill && ahead-- == 0)
				return endpoint;
		}
	return endpoints_current(endpoints);
}

void
endpoints_worked(struct endpoints *endpoints, struct endpoint *endpoint)
{
	endpoint->failed = 0;
	if (endpoint->gone)
		return;
	endpoints->current = (size_t)(endpoint - endpoints->list);
}

void
endpoint_timed(struct endpoint *endpoint, nsec took)
{
	/* What was slow is forgotten within some ten answers. */
	nsec before = endpoint->latency - endpoint->latency / 4;

	endpoint->latency = took > before ? took : before;
}

void
endpoints_failed(struct endpoints *endpoints, struct endpoint *endpoint)
{
	endpoint->failed = clock_now();
	if (endpoint == endpoints_current(endpoints))
		endpoints->current = (size_t)(endpoints_next(endpoints, 1) - endpoints->list);
}

void
endpoints_shuffle(struct endpoints *endpoints)
{
	/* Fisher and Yates. */
	for (size_t i = endpoints->count; i > 1; i--) {
		size_t other = (size_t)(random_uint64() % i);
		struct endpoint moved = endpoints->list[i - 1];

		endpoints->list[i - 1] = endpoints->list[other];
		endpoints->list[other] = moved;
	}
}

bool
endpoints_all_unusable(const struct endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->count; i++)
		if (!endpoints->list[i].gone && !endpoints->list[i].unusable)
			return false;
	return true;
}
