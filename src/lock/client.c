#include "base/random.h"
#include "base/strbuf.h"
#include "lock/config.h"
#include "lock/watches.h"

#include <stdio.h>
#include <stdlib.h>

struct etcdlock_client *
etcdlock_client_new(struct event_base *base, const struct etcdlock_config *config, etcdlock_log_fn log, void *log_arg,
    char *why, size_t size)
{
	struct etcdlock_client *client = calloc(1, sizeof(*client));
	char wrong[ENDPOINTS_ERROR];

	snprintf(why, size, "no memory or descriptors for a client of etcd");
	if (client == NULL)
		return NULL;
	if (!random_available()) {
		snprintf(why, size, "getrandom(2) does not work here, and leases need ids that nobody else has");
		goto fail;
	}
	client->log = (struct logger){ .write = log, .arg = log_arg, .threshold = LEVEL_DEBUG };
	client->endpoints = endpoints_parse(config->endpoints, wrong);
	if (client->endpoints == NULL) {
		snprintf(why, size, "%s", wrong);
		goto fail;
	}
	client->loop = loop_new(base);
	if (client->loop == NULL)
		goto fail;
	client->http = http_new(client->loop);
	if (client->http == NULL)
		goto fail;
	client->watches = watches_new(client);
	if (client->watches == NULL)
		goto fail;
	return client;

fail:
	etcdlock_client_free(client);
	return NULL;
}

struct http_request *
client_send(
    struct etcdlock_client *client, const struct endpoint *endpoint, const char *path, const struct http_spec *spec)
{
	struct http_spec whole = *spec;
	struct http_request *request = NULL;
	char *url = str_printf("%s%s", endpoint->url, path);

	whole.url = url;
	whole.unix_socket = endpoint->unix_socket;
	if (url != NULL)
		request = http_start(client->http, &whole);
	free(url);
	return request;
}

void
etcdlock_client_free(struct etcdlock_client *client)
{
	if (client == NULL)
		return;
	watches_free(client->watches);
	http_free(client->http);
	loop_free(client->loop);
	endpoints_free(client->endpoints);
	free(client);
}
