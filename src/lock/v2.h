/* The v2 backend's inside: one contender's key, and the requests that are under way for it. */
#ifndef LOCK_V2_H
#define LOCK_V2_H

#include "lock/call.h"
#include "lock/lock.h"
#include "lock/v2_codec.h"

enum v2_stage { V2_STAGE_NONE, V2_STAGE_CREATE, V2_STAGE_REFRESH, V2_STAGE_DELETE };

struct v2 {
	struct etcdlock *lock;
	int64_t created, modified; /* indexes of our key; 0: we have none */
	int64_t known;             /* what happened up to this index is known */
	struct lease_term term;
	enum v2_stage stage;      /* what the call CHANGE is doing */
	bool ambiguous;           /* a try of it may have worked unseen */
	struct moment first_sent; /* its first try */
	nsec ttl;                 /* that it asked for */
	bool changed_hands;       /* while waiting: the holder that we know of has gone */
	bool leaving;
	bool foreign; /* somebody else changed our key: nothing of it is ours any more */
	bool due;     /* a renewal that could not be sent */
	bool adopt;   /* while leaving: a renewal of ours may have moved the index unseen */
	struct call change, read;
	unsigned wait_token;
	struct http_request *wait; /* the long poll; NULL: none */
	struct endpoint *wait_endpoint;
	bool following;
	struct timer again; /* when to poll again */
	struct backoff backoff;
};

/* Read the key, through the quorum: what follows from it is dealt with. */
void v2_read_key(struct v2 *v2);

/* Our key is gone: NODE NULL; or it is not as we left it. */
void v2_lost(struct v2 *v2, const struct v2_node *node);

/* wait: the long poll for the next event of the key */
void v2_wait_init(struct v2 *v2);
void v2_wait_start(struct v2 *v2);
/* Poll again after DELAY. */
void v2_wait_again(struct v2 *v2, nsec delay);
void v2_follow(void *v2);
void v2_follow_stop(struct v2 *v2);

#endif
