/* What one request came to: the one place where all kinds of answers have a name, of either protocol. */
#ifndef ETCD_VERDICT_H
#define ETCD_VERDICT_H

#include "base/clock.h"
#include "etcd/v2_codec.h"
#include "etcd/v3_codec.h"
#include "etcd/verdict_kind.h"
#include "net/endpoints.h"

/* Valid while the answer is handed up. */
struct verdict {
	enum verdict_kind kind;
	char text[VERDICT_TEXT]; /* for anything but VERDICT_OK: what was answered, in etcd's own words */
	bool sent;               /* etcd might have got the request */
	bool not_http;           /* what came is no HTTP at all */
	long status;             /* HTTP status; 0: no answer */

	struct endpoint *endpoint; /* that was asked */
	struct moment sent_at;     /* when */

	json_t *answer;      /* of v3, where VERDICT_OK; else NULL. Borrowed */
	struct v2_answer v2; /* of v2. Borrowed */
};

/* True where the same request might work later or elsewhere, whatever it is about. What remains is an answer to it. */
static inline bool
verdict_is_passing(const struct verdict *verdict)
{
	return verdict->kind == VERDICT_NO_ANSWER || verdict->kind == VERDICT_TRANSIENT ||
	    verdict->kind == VERDICT_TOKEN || verdict->kind == VERDICT_NOT_ETCD;
}

/* True where etcd means it, and has done nothing. */
static inline bool
verdict_is_refusal(const struct verdict *verdict)
{
	return verdict->kind == VERDICT_REFUSED || verdict->kind == VERDICT_UNAUTHENTICATED ||
	    verdict->kind == VERDICT_NO_SPACE || verdict->kind == VERDICT_NO_AUTH;
}

#endif
