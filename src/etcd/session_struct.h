/* A session with one etcd cluster: what all requests to it share. session.c assembles it; the modules of this folder
 * read it, and none of them reaches beyond what stands beside its own name. */
#ifndef ETCD_SESSION_STRUCT_H
#define ETCD_SESSION_STRUCT_H

#include "base/log.h"
#include "base/loop.h"
#include "net/endpoints.h"
#include "net/http.h"

struct cluster;
struct credentials;
struct discovery;
struct token;
struct watch_streams;

struct session {
	struct loop *loop;
	struct http *http;
	struct endpoints *endpoints;
	struct credentials *credentials; /* NULL: we are nobody */
	struct token *token;             /* what fills them; NULL as they are */
	char *user;                      /* for messages; NULL as they are */
	bool beta;                       /* attempt: etcd has /v3beta instead of /v3 */
	bool found;                      /* attempt: there is an etcd there */
	struct watch_streams *watch_streams;
	struct cluster *cluster;
	struct discovery *discovery; /* of ENDPOINTS; NULL: they were given */
	char *server_name;           /* that those of https have in their certificates, where they are discovered */
	struct logger log;
};

/* What a session is opened with. Nothing is kept. */
struct session_spec {
	const char *endpoints;     /* as endpoints_parse() has it */
	const char *discovery_srv; /* a domain instead of them; or NULL */
	const struct tls *tls;
	const char *user, *password; /* NULL: nobody */
	const char *password_file;   /* that PASSWORD is from, and where it may change; or NULL */
	bool v2;                     /* the API that is spoken; else v3 */
	nsec token_limit;            /* how long one try for a token may take */
};

#endif
