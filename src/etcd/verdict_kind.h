/* The kinds of answers. */
#ifndef ETCD_VERDICT_KIND_H
#define ETCD_VERDICT_KIND_H

enum verdict_kind {
	VERDICT_OK,
	VERDICT_NO_ANSWER,       /* none came */
	VERDICT_TRANSIENT,       /* the same request might work later, or elsewhere; and it might have worked */
	VERDICT_TOKEN,           /* it might work with the next token, which is being fetched */
	VERDICT_NOT_ETCD,        /* no etcd with the API that was spoken to */
	VERDICT_REFUSED,         /* etcd means it */
	VERDICT_UNAUTHENTICATED, /* so does this, to whoever asks */
	VERDICT_TOO_LONG,        /* an answer came, and was not read: it is longer than what is taken */
	/* v3 alone */
	VERDICT_NO_SPACE,     /* etcd is full: it takes no lease and no put, but keepalives and deletes */
	VERDICT_NO_AUTH,      /* it has no users, says the answer to an authentication */
	VERDICT_LEASE_GONE,   /* there is no such lease */
	VERDICT_LEASE_EXISTS, /* a grant of that id has already worked */
	/* v2 alone, with etcd's number of the error */
	VERDICT_NO_KEY,     /* there is no such key: 100 */
	VERDICT_MISMATCH,   /* the index is another one: 101 */
	VERDICT_KEY_EXISTS, /* there is such a key: 105 */
	VERDICT_OUTDATED    /* events from there on are not known any more: 401 */
};

/* Room for the text of an answer. */
#define VERDICT_TEXT 384

#endif
