/* What a protocol reports to its lock, queued.
 *
 * A report is a fact: what etcd has said, and of when. Reports are posted from inside answers and taken out by the
 * lock's task, when nothing else is on the stack; so nothing is sent from inside an answer. Each kind is in the queue
 * once at most: a newer report takes the place of an older one, and goes to the end; but of what ends something the
 * first one stays. So the queue has room for all, and posting cannot fail. A report whose generation is not the lock's
 * is of something that was given up, and is dropped. */
#ifndef LOCK_LOCK_EVENTS_H
#define LOCK_LOCK_EVENTS_H

#include "base/loop.h"
#include "etcd/call.h"
#include "lock/contender.h"
#include "lock/etcdlock.h"

enum report_kind {
	REPORT_GRANTED,   /* etcd has granted the lease of a join */
	REPORT_PLACED,    /* PLACE is ours */
	REPORT_RENEWED,   /* our key is on a lease of PLACE.term */
	REPORT_EXPOSED,   /* our key might be on a lease of PLACE.term from now on, which ends sooner than the one that
			     counts */
	REPORT_VANISHED,  /* the key ahead of us is gone, or marked: HOW */
	REPORT_KEY_GONE,  /* our key is gone or not ours any more; TEXT completes "the lock is lost: " */
	REPORT_TROUBLE,   /* a try failed, for the reason TEXT, and will be repeated */
	REPORT_REFUSED,   /* a request was refused for good, with TEXT. Not for a lock that is ours: there everything is
			   * tried until the deadline */
	REPORT_NO_MEMORY, /* memory was short for what the lock asked */
	REPORT_GIVEN,     /* while leaving: etcd has it that the lock is nobody's, or the next one's */
	REPORT_RELEASED   /* nothing of ours is left in etcd */
};
#define REPORT_KINDS (REPORT_RELEASED + 1)

struct report {
	enum report_kind kind;
	unsigned generation;
	struct place place; /* its texts are the report's own; of RENEWED and EXPOSED its term alone */
	enum vanish how;
	char *text; /* the report's own; NULL: memory was short for it */
	/* of TROUBLE */
	bool answered; /* somebody has answered, though not as was wanted */
	bool hopeless; /* no endpoint is an etcd */
};

/* What became of a transaction of the user's, on its way to him. */
struct lock_result {
	etcdlock_txn_fn done;
	void *arg;
	enum etcdlock_txn_result result;
	int64_t revision;
	char error[384];
	TAILQ_ENTRY(lock_result) link;
};

struct lock_events {
	struct loop *loop;
	struct task task; /* of the lock: there is something in here */
	struct report reports[REPORT_KINDS];
	size_t count;
	TAILQ_HEAD(, lock_result) results;
};

/* RUN is called with ARG from the loop, when something was posted. */
void lock_events_init(struct lock_events *events, struct loop *loop, void (*run)(void *arg), void *arg);
void lock_events_clear(struct lock_events *events);

/* Queue REPORT, whose texts it takes. */
void lock_events_post(struct lock_events *events, const struct report *report);

/* Queue RESULT, from malloc(), which it takes. */
void lock_events_post_result(struct lock_events *events, struct lock_result *result);

/* The oldest report into *REPORT, which report_free() frees; false where there is none. */
bool lock_events_next(struct lock_events *events, struct report *report);

void report_free(struct report *report);

/* A report of TROUBLE, of no generation yet. */
struct report report_of_trouble(const struct call_trouble *trouble);

/* Its text, or that there was no memory for it. */
const char *report_text(const struct report *report);

#endif
