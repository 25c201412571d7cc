#include "etcd/session.h"

#include "etcd/cluster.h"
#include "etcd/token.h"
#include "etcd/watch_stream.h"
#include "net/discovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
on_discovered(void *arg, const struct srv_answer *answer)
{
	struct session *session = arg;

	if (answer->count == 0) {
		log_msg(&session->log, LEVEL_DEBUG, "no endpoints: %s", answer->error);
		return;
	}
	endpoints_learn(session->endpoints, answer, session->server_name);
	for (size_t i = 0; i < answer->count; i++)
		log_msg(&session->log, LEVEL_DEBUG, "endpoint by its SRV record: %s://%s:%u",
		    answer->https ? "https" : "http", answer->targets[i].host, answer->targets[i].port);
}

/* Returns 0, or -1 with WHY set where it is not a lack of memory. */
static int
set_endpoints(struct session *session, const struct session_spec *spec, char *why, size_t size)
{
	const char *domain = spec->discovery_srv;
	char wrong[ENDPOINTS_ERROR];

	if (domain == NULL) {
		session->endpoints = endpoints_parse(spec->endpoints, spec->tls, wrong);
		if (session->endpoints != NULL)
			endpoints_shuffle(session->endpoints);
		else
			snprintf(why, size, "%s", wrong);
		return session->endpoints == NULL ? -1 : 0;
	}
	session->endpoints = endpoints_of_domain(domain);
	/* As etcdctl has it: who answers for a name of the domain's must prove that it is of the domain. */
	session->server_name = strdup(spec->tls->server_name != NULL ? spec->tls->server_name : domain);
	session->discovery = discovery_new(session->loop, domain, tls_is_set(spec->tls), on_discovered, session);
	if (session->endpoints == NULL || session->server_name == NULL || session->discovery == NULL)
		return -1;
	discovery_look(session->discovery);
	return 0;
}

/* Nothing that is set up here needs another part of it but the loop and what stands before it. */
static int
set_up(struct session *session, struct event_base *base, const struct session_spec *spec, char *why, size_t size)
{
	const char *what;

	session->loop = loop_new(base, &what);
	if (session->loop == NULL)
		snprintf(why, size, "%s: %s", what, strerror(errno));
	if (session->loop == NULL || set_endpoints(session, spec, why, size) == -1)
		return -1;
	session->http = http_new(session->loop, spec->tls);
	if (session->http == NULL || !http_works(session->http, why, size))
		return -1;
	session->watch_streams = watch_streams_new(session);
	session->cluster = cluster_new(session);
	if (session->watch_streams == NULL || session->cluster == NULL)
		return -1;
	if (spec->user == NULL)
		return 0;
	session->user = strdup(spec->user);
	session->token = token_new(session, spec);
	if (session->user == NULL || session->token == NULL)
		return -1;
	session->credentials = token_credentials(session->token);
	return 0;
}

struct session *
session_new(struct event_base *base, const struct session_spec *spec, const struct logger *log, char *why, size_t size)
{
	struct session *session = calloc(1, sizeof(*session));

	snprintf(why, size, "no memory, or too few descriptors (ulimit -n), for a client of etcd");
	if (session == NULL)
		return NULL;
	session->log = *log;
	if (set_up(session, base, spec, why, size) == 0)
		return session;
	session_free(session);
	return NULL;
}

void
session_free(struct session *session)
{
	if (session == NULL)
		return;
	token_free(session->token);
	free(session->user);
	cluster_free(session->cluster);
	watch_streams_free(session->watch_streams);
	http_free(session->http);
	discovery_free(session->discovery);
	free(session->server_name);
	loop_free(session->loop);
	endpoints_free(session->endpoints);
	free(session);
}
