/* The v2 protocol's inside: one contender's key, and the requests that are under way for it.
 *
 * As with v3, v2.c owns the goal, and advance(), which sends what is wanted next, when nothing else is on the stack.
 * The parts (change, read, past, wait) note what answers say, and none of them calls another; v2_state.c has what all
 * need.
 */
#ifndef LOCK_V2_V2_STRUCT_H
#define LOCK_V2_V2_STRUCT_H

#include "etcd/call.h"
#include "lock/lock_events.h"
#include "lock/protocol.h"

/* A change of our key. Others take its deletion by index for word that no command of ours lives, nor of whoever had the
 * key before: of a key under which the lock was not held nobody knows that, and it is left to expire. */
enum v2_step { V2_STEP_NONE, V2_STEP_CREATE, V2_STEP_REFRESH, V2_STEP_DELETE, V2_STEP_EXPIRE };

/* Invariants:
 * - CREATED and MODIFIED are 0 together, but for what a dead process had, whose MODIFIED is read first;
 * - STEP is what the call CHANGE is about, and V2_STEP_NONE exactly while that is not active; NEXT is sent when it is
 * not;
 * - while PAST is not 0, CREATED is not, and our place is not reported;
 * - AMBIGUOUS says that one of our changes since MODIFIED was known might have worked unseen: then alone another
 * modified index of our key might be of our making. */
struct v2 {
	const struct contender *contender;
	struct session *session;
	unsigned generation; /* of what it works for */
	enum goal goal;
	struct task advance;

	int64_t created, modified; /* indexes of our key; 0: we have none */
	int64_t known;             /* what happened to the key up to this index is known; 0: nothing is */
	int64_t past;              /* likewise, of what came before CREATED and is still to be read; 0: nothing is */
	nsec created_at;           /* when CREATED was answered */
	struct call history;       /* reads the event after PAST */
	struct lease_term term;
	enum v2_step step, next;
	bool ambiguous;
	struct moment first_sent; /* the first try of CHANGE */
	nsec ttl;                 /* that it asked for */
	bool overwritten;         /* somebody else changed our key: nothing of it is ours any more */
	bool due;                 /* a renewal that could not be sent */
	bool held;                /* while leaving: the lock was held under our key */
	bool adopt;               /* while leaving: a renewal of ours might have moved the index unseen */
	struct call change;

	bool read_wanted;
	bool read_behind; /* not before CHANGE is answered */
	struct call read;

	char *holder;       /* that was reported last; or NULL */
	bool reported;      /* our place was reported since the join */
	bool changed_hands; /* while waiting: the holder that we know of has gone */
	nsec vanished;      /* when a holder was last found gone that had not said how; 0: never */

	bool following, poll_wanted;
	struct attempt wait; /* the long poll */
	struct timer again;  /* when to poll again */
	struct backoff backoff;
};

/* --- v2_state.c: what all parts need --- */

void v2_wake(struct v2 *v2);
nsec v2_lock_ttl(const struct v2 *v2);
nsec v2_try_limit(const struct v2 *v2);

/* Report to the lock. REPORT's texts are taken; its generation is set. */
void v2_report(struct v2 *v2, struct report report);

/* Report our place: behind HOLDER, or NULL: first. */
void v2_report_place(struct v2 *v2, const char *holder);

/* Our key is on another lease since SENT. */
void v2_report_renewed(struct v2 *v2, struct moment sent);

/* Our key is gone: NODE NULL; or it is not as we left it. There is nothing to do until the lock says what. */
void v2_lost(struct v2 *v2, const struct v2_node *node);

/* True where EVENT is none that contenders make: the key has expired, or was deleted or set from outside, and whoever
 * had it might have a command that is dying. */
bool v2_was_taken_away(const struct v2_answer *event);

/* Nothing of ours is left. */
void v2_report_released(struct v2 *v2);

/* What an answer amounts to that says nothing about our key. Fills TEXT. */
enum call_verdict v2_other_answer(struct v2 *v2, const struct verdict *verdict, char text[CALL_TEXT]);

/* The next change, once what is under way is over: nothing is known of it yet. */
void v2_want_change(struct v2 *v2, enum v2_step step);

/* Our key is to go. */
void v2_want_end(struct v2 *v2);

/* Read the key, through the quorum, unless that is being done. */
void v2_want_read(struct v2 *v2);

/* What every failed try means. */
void v2_trouble(struct v2 *v2, const struct call_trouble *trouble);

/* --- v2_change.c --- */

void v2_change_init(struct v2 *v2);
void v2_change_stop(struct v2 *v2);
void v2_change_advance(struct v2 *v2);

/* --- v2_read.c --- */

void v2_read_init(struct v2 *v2);
void v2_read_advance(struct v2 *v2);

/* --- v2_past.c: what happened to the key before our creation --- */

void v2_past_init(struct v2 *v2);
void v2_past_advance(struct v2 *v2);
void v2_past_stop(struct v2 *v2);

/* --- v2_wait.c: the long poll for the next event of the key --- */

void v2_wait_init(struct v2 *v2);
void v2_wait_advance(struct v2 *v2);
void v2_wait_stop(struct v2 *v2);

#endif
