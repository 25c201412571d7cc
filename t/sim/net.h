/* The network between hosts and members: net/http.h in place of libcurl. Messages are late, lost, doubled, and come in
 * any order; the bytes of one stream stay in theirs. */
#ifndef T_SIM_NET_H
#define T_SIM_NET_H

#include "world.h"

#include <jansson.h>
#include <sys/queue.h>

#define HOSTS 6
#define MEMBERS 3

struct proc;
struct node;
struct http_request;

/* Bytes of a stream on their way. */
struct chunk {
	STAILQ_ENTRY(chunk) link;
	size_t len;
	char bytes[];
};

STAILQ_HEAD(chunks, chunk);

/* One request on its way to a member and back. The member's side of it, too. */
struct exchange {
	struct http_request *client; /* NULL: nobody waits for the answer any more */
	struct node *node;           /* that sent it; NULL: it is gone */
	int host, member;
	char *method, *path, *body, *authorization;
	bool require_leader, stream;
	struct alarm forth, back, fin;
	int tries; /* of getting through a broken line */
	/* The answer. */
	bool answered, refused, broken_off;
	long status;
	char *answer;
	struct chunks chunks;
	bool ended;  /* the stream has an end behind its chunks */
	bool served; /* the member will have nothing more to do with it */
	void *watch; /* the member's */
	LIST_ENTRY(exchange) link;
};

/* A line between a host and a member. */
struct line {
	bool cut_forth, cut_back;
};

extern struct net {
	struct line lines[HOSTS][MEMBERS];
	bool slow, lossy, jitters; /* all of it */
	nsec quiet;                /* until then nothing is late, and no member behind */
	struct alarm
	    *loses; /* rings when the answer to the next renewal of LOSES_HOST's is lost; NULL: none is to be */
	int loses_host;
	bool buffers; /* a proxy keeps the bytes of streams to itself */
} net;

void net_begin(void);
void net_end(void);

/* For SPAN nothing is late, not even what is on its way already, and no member behind. */
void net_be_quiet(nsec span);

/* The member answers, once; or with bytes of a stream, and its end. */
void exchange_answer(struct exchange *exchange, long status, const char *body);
void exchange_stream(struct exchange *exchange, const char *bytes);
void exchange_end_stream(struct exchange *exchange);

/* The connection breaks: the member has died. */
void exchange_break(struct exchange *exchange);

/* The member has nothing to say to it, ever. */
void exchange_ignore(struct exchange *exchange);

/* A request that comes from nobody and is with a member already: who compares answers reads what is set in it. */
struct exchange *exchange_alone(const char *method, const char *path, const char *body);

/* A process is dead: nobody waits for its answers. */
void net_process_gone(struct proc *proc);

/* NODE is no more; what it has sent is nobody's. */
void net_node_gone(const struct node *node);

#endif
