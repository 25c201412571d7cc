/* One request to one endpoint, once, and what it came to.
 *
 * Here an answer gets its verdict, and here alone it is dealt with that etcd's API might have another path (/v3beta),
 * and that it does not know who we are. */
#ifndef ETCD_ATTEMPT_H
#define ETCD_ATTEMPT_H

#include "etcd/session_struct.h"
#include "etcd/verdict.h"

enum etcd_api { ETCD_V3, ETCD_V2 };

struct attempt_spec {
	enum etcd_api api;
	const char *method; /* static; NULL: POST with BODY */
	const char *path;   /* of v3: /v3/...; this and BODY are copied */
	const char *body;
	struct endpoint *endpoint;
	bool anonymous;                 /* it does not say who we are */
	bool aside;                     /* what it shows of its endpoint says nothing about others */
	bool in_lane;                   /* it counts in the endpoint's lane, and might wait there */
	bool once;                      /* not safe to repeat: libcurl does not do so behind our back */
	bool require_leader;            /* a member without a leader refuses it at once */
	nsec time_limit, connect_limit; /* 0: none */
	size_t max_body;

	/* Of a stream: its bytes, as they come. It may cancel the attempt. NULL: they are collected. */
	void (*on_data)(void *arg, const char *bytes, size_t len);
	/* Called once at the end, unless cancelled. It notes what the verdict says, and sends nothing. */
	void (*on_done)(void *arg, const struct verdict *verdict);
	void *arg;
};

/* Embedded in its owner; zero it. */
struct attempt {
	struct session *session;
	struct http_request *request; /* NULL: none is out */
	struct endpoint *endpoint;
	void (*on_data)(void *arg, const char *bytes, size_t len); /* from here on, as SPEC had it */
	void (*on_done)(void *arg, const struct verdict *verdict);
	void *arg;
	enum etcd_api api;
	bool aside;
	bool once;
	bool beta;       /* it went to /v3beta, if to v3 at all */
	unsigned serial; /* of the credentials that went with it; 0: none did */
	struct moment sent_at;
};

/* Send the request that SPEC says; a request that is still out is dropped. Returns 0, or -1 when memory is short. */
__attribute__((warn_unused_result)) int
attempt_start(struct attempt *attempt, struct session *session, const struct attempt_spec *spec);

/* Drop it without a callback. Harmless where none is out. */
void attempt_cancel(struct attempt *attempt);

bool attempt_is_out(const struct attempt *attempt);

/* A stream says that it ends, with TEXT, an error of etcd's: true where its token is to blame, which is replaced. */
bool attempt_blame_token(struct attempt *attempt, const char *text);

#endif
