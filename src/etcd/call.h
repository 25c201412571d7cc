/* One request to the cluster, repeated until it is answered: each try has its own short time limit, a try that
 * fails moves on to the next endpoint, and a round of failures waits with backoff. Once a try has failed, the next
 * ones are hedged: another is sent before the last is given up, for a request that was caught in an election is not
 * answered any more, while a fresh one is at once. Such a request must be safe to repeat, even side by side. */
#ifndef ETCD_CALL_H
#define ETCD_CALL_H

#include "base/backoff.h"
#include "etcd/attempt.h"
#include "etcd/credentials.h"

#define CALL_TEXT 512

/* The longest answer that is read. */
#define CALL_MAX_BODY ((size_t)4 << 20)

/* What the owner says of an answer. */
enum call_verdict {
	CALL_DONE, /* it was what was wanted, or the owner has noted that it was not */
	CALL_RETRY /* it might work later or elsewhere */
};

struct call_trouble {
	const char *text;          /* names the endpoint and what went wrong */
	struct endpoint *endpoint; /* where; or NULL */
	bool sent;                 /* the request might have been carried out all the same */
	bool hopeless;             /* no endpoint is an etcd */
	bool answered;             /* somebody has answered, though not as was wanted */
};

/* A call belongs to one owner, who sets these once. They note what happened, and send nothing: no call is started in
 * them. */
struct call_owner {
	/* An answer that is about the request itself: nothing that verdict_is_passing() is. For CALL_RETRY fill TEXT.
	 */
	enum call_verdict (*on_answer)(void *arg, const struct verdict *verdict, char text[CALL_TEXT]);
	/* A try failed; the next one is coming, unless the call is stopped in here. */
	void (*on_trouble)(void *arg, const struct call_trouble *trouble);
	void *arg;
};

/* Tries of one call that are out at a time. */
#define CALL_TRIES 3

/* Invariants: PATH is set from start to end, and then alone a try is out, NEXT is armed, or WAITER waits. */
struct call {
	struct session *session;
	struct call_owner owner;
	enum etcd_api api;
	const char *method; /* NULL: POST */
	const char *path;
	char *own_path, *body;
	bool once;
	bool anonymous;                   /* it does not say who we are */
	bool reauthorized;                /* an answer was that the token was not good */
	struct credentials_waiter waiter; /* for a token */
	nsec try_limit, connect_limit;
	struct attempt tries[CALL_TRIES];
	int64_t mark;    /* the owner's, set before each start: what was known when the request was made */
	size_t failures; /* in a row */
	struct backoff backoff;
	struct timer next; /* when to send another try */
};

void call_init(struct call *call, struct session *session, const struct call_owner *owner);

/* POST BODY, which it takes, from malloc(), to PATH, a static string of v3. A call under way is replaced. Returns 0, or
 * -1 where BODY is NULL, as encoders return it when memory is short: then nothing is under way. */
__attribute__((warn_unused_result)) int call_start(struct call *call, const char *path, char *body, nsec try_limit);

/* Of the next request: to get a connection may take so long, less than a try. */
void call_limit_connect(struct call *call, nsec limit);

/* The same of v2, with METHOD, a static string, PATH, which it takes, from malloc(), and no body. ONCE: no try is
 * repeated by libcurl behind our back, so that every answer that was lost is known of. -1 where PATH is NULL. */
__attribute__((warn_unused_result)) int
call_request(struct call *call, const char *method, char *path, bool once, nsec try_limit);

/* Drop it without a callback. Harmless when it is not under way. */
void call_stop(struct call *call);

bool call_active(const struct call *call);

/* True while a request is out and unanswered. */
bool call_in_flight(const struct call *call);

#endif
