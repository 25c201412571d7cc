#include "base/random.h"
#include "base/strbuf.h"
#include "lock/auth.h"
#include "lock/cluster.h"
#include "lock/config.h"
#include "lock/watches.h"
#include "net/discovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
on_discovered(void *arg, const struct srv_answer *answer)
{
	struct etcdlock_client *client = arg;

	if (answer->count == 0) {
		log_msg(&client->log, LEVEL_DEBUG, "no endpoints: %s", answer->error);
		return;
	}
	endpoints_learn(client->endpoints, answer, client->server_name);
	for (size_t i = 0; i < answer->count; i++)
		log_msg(&client->log, LEVEL_DEBUG, "endpoint by its SRV record: %s://%s:%u",
		    answer->https ? "https" : "http", answer->targets[i].host, answer->targets[i].port);
}

/* Returns 0, or -1 with WHY set where it is not a lack of memory. */
static int
set_endpoints(struct etcdlock_client *client, const struct etcdlock_config *config, char *why, size_t size)
{
	const char *domain = config->discovery_srv;
	char wrong[ENDPOINTS_ERROR];

	if (domain == NULL) {
		client->endpoints = endpoints_parse(config->endpoints, &config->tls, wrong);
		if (client->endpoints != NULL)
			endpoints_shuffle(client->endpoints);
		else
			snprintf(why, size, "%s", wrong);
		return client->endpoints == NULL ? -1 : 0;
	}
	client->endpoints = endpoints_of_domain(domain);
	/* As etcdctl has it: who answers for a name of the domain's must prove that it is of the domain. */
	client->server_name = strdup(config->tls.server_name != NULL ? config->tls.server_name : domain);
	client->discovery = discovery_new(client->loop, domain, tls_is_set(&config->tls), on_discovered, client);
	if (client->endpoints == NULL || client->server_name == NULL || client->discovery == NULL)
		return -1;
	discovery_look(client->discovery);
	return 0;
}

void
client_rediscover(struct etcdlock_client *client)
{
	if (client->discovery != NULL)
		discovery_look(client->discovery);
}

struct etcdlock_client *
etcdlock_client_new(struct event_base *base, const struct etcdlock_config *config, etcdlock_log_fn log, void *log_arg,
    char *why, size_t size)
{
	struct etcdlock_client *client = calloc(1, sizeof(*client));
	const char *what;

	snprintf(why, size, "no memory, or too few descriptors (ulimit -n), for a client of etcd");
	if (client == NULL)
		return NULL;
	if (!random_available()) {
		snprintf(why, size, "getrandom(2) does not work here, and leases need ids that nobody else has");
		goto fail;
	}
	client->log = (struct logger){ .write = log, .arg = log_arg, .threshold = LEVEL_DEBUG };
	if (etcdlock_config_wants_password(config) != NULL) {
		snprintf(why, size, "user '%.64s' has no password", config->user);
		goto fail;
	}
	client->loop = loop_new(base, &what);
	if (client->loop == NULL)
		snprintf(why, size, "%s: %s", what, strerror(errno));
	if (client->loop == NULL || set_endpoints(client, config, why, size) == -1)
		goto fail;
	client->http = http_new(client->loop, &config->tls);
	if (client->http == NULL || !http_works(client->http, why, size))
		goto fail;
	client->watches = watches_new(client);
	if (client->watches == NULL)
		goto fail;
	client->cluster = cluster_new(client);
	if (client->cluster == NULL)
		goto fail;
	if (config->user != NULL) {
		client->user = strdup(config->user);
		client->auth = auth_new(client, config);
		if (client->user == NULL || client->auth == NULL)
			goto fail;
	}
	if (config->tls.insecure)
		log_msg(&client->log, LEVEL_WARNING,
		    "etcd's certificates are not checked: whoever is on the way can pose as etcd, and hand out this lock");
	return client;

fail:
	etcdlock_client_free(client);
	return NULL;
}

struct http_request *
client_send(struct etcdlock_client *client, struct endpoint *endpoint, const char *path, const struct http_spec *spec,
    unsigned *token)
{
	bool beta = client->beta && strncmp(path, "/v3/", 4) == 0;
	struct http_spec whole = *spec;
	struct http_request *request = NULL;
	char *url = str_printf("%s%s%s", endpoint->url, beta ? "/v3beta" : "", path + (beta ? strlen("/v3") : 0));

	whole.url = url;
	whole.unix_socket = endpoint->unix_socket;
	whole.connect_to = endpoint->connect_to;
	whole.avoid = &endpoint->avoid;
	if (token != NULL)
		whole.authorization = auth_header(client->auth, token);
	if (url != NULL)
		request = http_start(client->http, &whole);
	free(url);
	return request;
}

bool
client_not_found(struct etcdlock_client *client, long status)
{
	/* A stray one, once there was an etcd, changes nothing. */
	if (status != 404 || client->beta || client->found)
		return false;
	log_msg(&client->log, LEVEL_DEBUG, "no /v3 there: trying /v3beta");
	client->beta = true;
	return true;
}

void
client_explain(const struct etcdlock_client *client, const char *key, char *text, size_t size)
{
	size_t len = strlen(text);

	if (strstr(text, "permission denied") != NULL)
		snprintf(text + len, size - len,
		    ": user %.64s needs a role with readwrite permission on the keys from %.100s/ to %.100s0 (etcdctl "
		    "role grant-permission ROLE readwrite --prefix %.100s/)",
		    client->user == NULL ? "(none)" : client->user, key, key, key);
	else if (strstr(text, "user name is empty") != NULL)
		snprintf(text + len, size - len, ": this etcd wants a user and a password (user, password-file)");
	else if (strstr(text, "authentication failed") != NULL)
		snprintf(text + len, size - len, " (user %.64s)", client->user == NULL ? "(none)" : client->user);
}

void
etcdlock_client_free(struct etcdlock_client *client)
{
	if (client == NULL)
		return;
	auth_free(client->auth);
	free(client->user);
	cluster_free(client->cluster);
	watches_free(client->watches);
	http_free(client->http);
	discovery_free(client->discovery);
	free(client->server_name);
	loop_free(client->loop);
	endpoints_free(client->endpoints);
	free(client);
}
