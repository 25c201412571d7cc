/* Three members of a cluster: who leads, who is behind, whose leases end. What is agreed upon is in one store; a member
 * has seen it up to some revision.
 *
 * A leader's leases are in its own memory, as etcd has them: they start anew with each leader, and one that was frozen
 * and thaws believes its own for a while. */
#ifndef T_SIM_MEMBER_H
#define T_SIM_MEMBER_H

#include "gateway.h"
#include "net.h"

/* What a leader remembers of a lease. */
struct memory {
	int64_t id, ttl_s;
	nsec ends; /* when its end is proposed, next */
	bool over; /* it has been */
};

#define MEMORIES 512

struct member {
	int number;
	bool up, frozen, cut, learner;
	int64_t ppm; /* its clock's, ahead of true time */
	int64_t applied, applied_v2;
	bool leads; /* it believes so */
	bool dated; /* it was frozen, and has not heard of its successor yet */
	struct memory memories[MEMORIES];
	size_t memory_count;
	struct alarm apply, check, step_down;
	struct exchange *backlog[256]; /* what came while it was frozen */
	size_t backlog_count;
};

/* Something that goes through raft. */
struct op {
	struct exchange *exchange; /* NULL: nobody at the member waits for it; a lease's end by itself */
	struct node *node;
	int member;
	uint64_t term; /* when it was proposed; 0: it could not be */
	char *method, *path;
	json_t *request;
	struct alarm alarm;
	LIST_ENTRY(op) link;
};

extern struct cluster_state {
	struct store store;
	struct member members[MEMBERS];
	int leader; /* -1: there is none */
	uint64_t term;
	struct alarm election;
	bool full;            /* out of space */
	bool auth;            /* who has no token may do nothing */
	uint64_t token;       /* the last one that was given */
	uint64_t token_valid; /* those before it are not known any more */
	bool slow_disk;
	bool lags;   /* followers are behind, often */
	bool thawed; /* a leader that was frozen has thawed: it might have ended leases that were kept alive */
	int64_t last_token[2]; /* the largest that COMMAND was given since the store was restored */
} cluster_state;

void members_begin(void);
void members_end(void);

bool member_is_up(int number);

/* A request has come to a member; a stream's client has gone. */
void member_request(struct exchange *exchange);
void member_closed(struct exchange *exchange);

/* --- raft.c --- */

bool member_reaches(int one, int other);
bool leader_has_quorum(void);

/* Through raft with it; EXCHANGE NULL: it is nobody's. Takes REQUEST. */
void raft_submit(struct exchange *exchange, int member, const char *path, json_t *request);
void raft_begin(void);
void raft_end(void);
/* A new leader: what the old one had under way is agreed upon, or lost. */
void raft_new_leader(void);
/* Nobody waits at MEMBER any more. */
void raft_member_down(int member);
/* NODE is no more: what it has sent is nobody's. */
void raft_node_gone(const struct node *node);

/* The header that MEMBER's answers have. */
struct header header_of(int member);

/* --- lessor.c --- */

void lessor_init(struct member *member);
void lessor_granted(struct member *member, int64_t id, int64_t ttl_s);
void lessor_ended(struct member *member, int64_t id);
/* It leads: every lease begins anew. */
void lessor_promote(struct member *member);
void lessor_keepalive(struct exchange *exchange, const json_t *request);

/* --- watch.c --- */

void watch_open(struct exchange *exchange);
void watch_close(struct exchange *exchange);
void watch_begin(void);
void watch_end(void);
/* What MEMBER has seen since. */
void watch_tell(int member);
/* MEMBER has no leader: who wanted one is told. */
void watch_no_leader(int member);
void watch_member_down(int member);

/* --- v2.c --- */

void v2_begin(void);
void v2_request(struct exchange *exchange);

/* Carried out, now. Returns the HTTP status, and in TEXT the body. */
long v2_apply(const char *method, const char *path, struct text *text);
/* What an etcd says that has lost its peers. */
long v2_timed_out(struct text *text);
/* What MEMBER has seen since; and that it is gone. */
void v2_tell(int member);
void v2_member_down(int member);
int64_t v2_index(void);
/* True where this request would end the key that was created at CREATED. */
bool v2_releases(const char *method, const char *path, int64_t created);
bool v2_is_empty(void);
void v2_delete_outside(const char *key);
/* The value of KEY, which is who has it; "": nobody does. */
const char *v2_owner(const char *key);
void v2_clear(int64_t back);
void v2_restore(int64_t index);

/* Something was agreed upon: members hear of it, FIRST at once. */
void members_spread(int first);

/* --- faults --- */

void member_crash(int number);
void member_start(int number);
void member_freeze(int number);
void member_thaw(int number);
void member_cut(int number, bool cut);
/* Leadership moves, as when a leader is stopped in order. */
void member_move_leader(void);
/* A copy from BACK revisions ago takes the store's place; every member starts anew. */
void members_restore(int64_t back, uint64_t cluster);

/* Something that decides who leads has changed. */
void members_changed(void);

#endif
