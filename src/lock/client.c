#include "lock/client.h"

#include "base/random.h"
#include "lock/config.h"
#include "net/http.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct etcdlock_client *
etcdlock_client_new(struct event_base *base, const struct etcdlock_config *config, etcdlock_log_fn log, void *log_arg,
    char *why, size_t size)
{
	const struct logger logger = { .write = log, .arg = log_arg, .threshold = LEVEL_DEBUG };
	const struct session_spec spec = { .endpoints = config->endpoints,
		.discovery_srv = config->discovery_srv,
		.tls = &config->tls,
		.user = config->user,
		.password = config->password,
		.password_file = config->password_file,
		.v2 = config->v2,
		.token_limit = timing_token_limit(config->timing.ttl_s * NSEC_PER_SEC) };
	struct etcdlock_client *client = calloc(1, sizeof(*client));

	snprintf(why, size, "no memory for a client of etcd");
	if (client == NULL)
		return NULL;
	if (!random_available())
		snprintf(why, size, "getrandom(2) does not work here, and leases need ids that nobody else has");
	else if (etcdlock_config_wants_password(config) != NULL)
		snprintf(why, size, "user '%.64s' has no password", config->user);
	else
		client->session = session_new(base, &spec, &logger, why, size);
	if (client->session == NULL) {
		free(client);
		return NULL;
	}
	if (config->tls.insecure)
		log_msg(&client->session->log, LEVEL_WARNING,
		    "etcd's certificates are not checked: whoever is on the way can pose as etcd, and hand out this lock");
	return client;
}

const char *
etcdlock_libraries(void)
{
	static char text[160];

	snprintf(
	    text, sizeof(text), "%s libevent/%s jansson/%s", http_libraries(), event_get_version(), JANSSON_VERSION);
	return text;
}

void
client_explain(const struct session *session, const char *key, char *text, size_t size)
{
	const char *user = session->user == NULL ? "(none)" : session->user;
	size_t len = strlen(text);

	if (strstr(text, "permission denied") != NULL)
		snprintf(text + len, size - len,
		    ": user %.64s needs a role with readwrite permission on the keys from %.100s/ to %.100s0 (etcdctl "
		    "role grant-permission ROLE readwrite --prefix %.100s/)",
		    user, key, key, key);
	else if (strstr(text, "user name is empty") != NULL)
		snprintf(text + len, size - len, ": this etcd wants a user and a password (user, password-file)");
	else if (strstr(text, "authentication failed") != NULL)
		snprintf(text + len, size - len, " (user %.64s)", user);
}

void
etcdlock_client_free(struct etcdlock_client *client)
{
	if (client == NULL)
		return;
	session_free(client->session);
	free(client);
}
