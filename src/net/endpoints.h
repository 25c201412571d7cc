/* Where etcd is: the list of -e, and which of them is in use. */
#ifndef NET_ENDPOINTS_H
#define NET_ENDPOINTS_H

#include "net/avoid.h"
#include "net/http.h"
#include "net/srv.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint {
	char *name;        /* as a person would write it; for messages */
	char *url;         /* "http://host:port", without a path */
	char *unix_socket; /* a path, or NULL */
	char *connect_to;  /* where it is, if not there where URL says, as CURLOPT_CONNECT_TO(3) has it; or NULL */
	struct http_lane lane;
	struct avoid avoid;
	nsec failed;      /* when it failed last, if it has not served since; else 0 */
	nsec latency;     /* of its answers: the slowest of late */
	bool gone;        /* not in the list any more; requests that are under way there might come back */
	bool unusable;    /* its last answer was not etcd's */
	uint64_t cluster; /* the id of the cluster that it is of, as it said last; 0: it has not */
};

/* They stay where they are in memory, for requests refer to them. At least one is not GONE. */
struct endpoints {
	struct endpoint *list;
	size_t count, room;
	size_t current;
};

/* Room for a message of endpoints_parse(). */
#define ENDPOINTS_ERROR 256

/* Parse LIST: comma-separated HOST:PORT, HOST (port 2379), [v6]:PORT, http://..., https://..., or
 * unix:///path. TLS, not kept: where something of it is set, entries without a scheme are https, as with etcdctl.
 * Returns new endpoints, or NULL and in WHY a sentence that names the bad entry. */
__attribute__((warn_unused_result)) struct endpoints *
endpoints_parse(const char *list, const struct tls *tls, char why[ENDPOINTS_ERROR]);

/* The endpoints of DOMAIN, whose SRV records are still to be found: until endpoints_learn() there is an endpoint that
 * leads nowhere, and says so. NULL when memory is short. */
__attribute__((warn_unused_result)) struct endpoints *endpoints_of_domain(const char *domain);

/* The targets of ANSWER, which has some, take the place of those that there were; known ones stay as they are. Those of
 * https are issued certificates for SERVER_NAME. What does not fit into memory, or into the list, is left out. */
void endpoints_learn(struct endpoints *endpoints, const struct srv_answer *answer, const char *server_name);

/* How many are not gone. */
size_t endpoints_count(const struct endpoints *endpoints);

/* Put them into an order of chance: a fleet with one list is to spread over the members. */
void endpoints_shuffle(struct endpoints *endpoints);

void endpoints_free(struct endpoints *endpoints);

/* The one to try now. */
struct endpoint *endpoints_current(struct endpoints *endpoints);

/* The one to try when AHEAD others are being tried already: those that failed a moment ago come last. */
struct endpoint *endpoints_next(struct endpoints *endpoints, size_t ahead);

/* ENDPOINT has served a request: it is tried first from now on. */
void endpoints_worked(struct endpoints *endpoints, struct endpoint *endpoint);

/* ENDPOINT has answered, which TOOK so long. */
void endpoint_timed(struct endpoint *endpoint, nsec took);

/* ENDPOINT did not serve a request: the next one is tried from now on, unless another request has
 * already moved on. */
void endpoints_failed(struct endpoints *endpoints, struct endpoint *endpoint);

/* True where the last answer of every endpoint was not etcd's: no retry will help. */
bool endpoints_all_unusable(const struct endpoints *endpoints);

#endif
