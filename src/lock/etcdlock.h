/* libetcdlock: a distributed lock in etcd, on the caller's libevent base.
 *
 * Every function is called from the thread that runs the base. Callbacks run from the base's loop, never
 * from inside a call of this API; they may call any function here, the freeing ones too.
 *
 * Points in time are CLOCK_BOOTTIME in nanoseconds. Strings are NUL-terminated; what a function returns as
 * "const char *" belongs to the library and is valid until the next event of that lock.
 *
 * The queue in etcd is the one of "etcdctl lock" and "etcdctl elect": keys KEY/<lease id in hex>, the oldest
 * create revision owns the lock. */
#ifndef ETCDLOCK_H
#define ETCDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;

/* One cluster of etcd: its endpoints and the connections to them, shared by many locks. */
struct etcdlock_client;

/* One contender for one lock. */
struct etcdlock;

/* Where a lock is. Only HELD and DOUBTFUL own it. */
enum etcdlock_state {
	ETCDLOCK_IDLE,       /* wants nothing, has nothing */
	ETCDLOCK_GRANTING,   /* asks for a lease */
	ETCDLOCK_CONTENDING, /* puts its key into the queue */
	ETCDLOCK_WAITING,    /* is in the queue, behind others or for the lock delay */
	ETCDLOCK_HELD,       /* owns the lock until etcdlock_deadline() */
	ETCDLOCK_DOUBTFUL,   /* owns it, but a renewal is late */
	ETCDLOCK_RELEASING,  /* gives it back, or leaves the queue */
	ETCDLOCK_LOST        /* owned it and does no more */
};
#define ETCDLOCK_STATES (ETCDLOCK_LOST + 1)

enum etcdlock_event {
	ETCDLOCK_ACQUIRED, /* the lock is held: etcdlock_deadline(), etcdlock_revision() */
	ETCDLOCK_QUEUE,    /* the place in the queue is known or has changed: etcdlock_holder(), etcdlock_ahead() */
	ETCDLOCK_RENEWED,  /* etcdlock_deadline() has moved */
	ETCDLOCK_EXPIRING, /* not renewed in time: the grace before the deadline begins, stop the work now */
	ETCDLOCK_DROPPED,  /* the lock is lost, the work must be dead already: etcdlock_error() says why */
	ETCDLOCK_REFUSED,  /* not acquired: etcdlock_failure() and etcdlock_error() say why. The lock is IDLE again */
	ETCDLOCK_RELEASED  /* nothing of ours is left in etcd, or etcdlock_error() says what may be. IDLE again */
};
#define ETCDLOCK_EVENTS (ETCDLOCK_RELEASED + 1)

/* Why a lock was not acquired. */
enum etcdlock_failure {
	ETCDLOCK_FAILURE_NONE,
	ETCDLOCK_FAILURE_CONFLICT,    /* somebody else holds it, and the wait limit is over */
	ETCDLOCK_FAILURE_UNREACHABLE, /* no endpoint answered in time */
	ETCDLOCK_FAILURE_REFUSED,     /* etcd, or what is at the endpoints, said no */
	ETCDLOCK_FAILURE_MEMORY
};

enum etcdlock_renewal {
	ETCDLOCK_RENEW_RAFT,     /* each time a new lease, and the key moved to it: survives etcd's stale leaders */
	ETCDLOCK_RENEW_KEEPALIVE /* spares etcd the writes; a leader that was frozen can confirm what is gone */
};

/* How long things take; milliseconds unless said. Fill it with etcdlock_timing_init(). */
struct etcdlock_timing {
	int64_t ttl_s;      /* lease length in seconds, 1 to 100 years, like every other span */
	int64_t refresh_ms; /* renewal period; 0: half the TTL */
	int64_t grace_ms;   /* how long before the deadline ETCDLOCK_EXPIRING comes; -1: 10 s, or what fits */
	int64_t delay_ms;   /* wait this long when a holder vanished without saying so */
	int64_t wait_ms;    /* give up waiting after this; -1: never */
	int64_t connect_ms; /* how long every endpoint may stay unreachable before the lock is in the queue */
};

/* TTL 60 s and the defaults above; delay 1 s, connect 5 s, no wait limit. */
void etcdlock_timing_init(struct etcdlock_timing *timing);

/* Replace the defaults in TIMING by what they stand for and check that it can be kept:
 * refresh + grace + margin + one try must fit into the TTL. Returns 0, or -1 and in WHY (of SIZE bytes) a
 * sentence with the arithmetic. */
int etcdlock_timing_resolve(struct etcdlock_timing *timing, char *why, size_t size);

/* The safety margin between the deadline and the lease's end: TTL/10, at least 200 ms, at most 3 s. */
int64_t etcdlock_margin_ms(int64_t ttl_s);

/* Levels of the log function, as in syslog's order. */
enum etcdlock_log_level { ETCDLOCK_LOG_ERROR, ETCDLOCK_LOG_WARNING, ETCDLOCK_LOG_NOTICE, ETCDLOCK_LOG_DEBUG };

typedef void (*etcdlock_log_fn)(void *arg, int level, const char *line);
typedef void (*etcdlock_event_fn)(struct etcdlock *lock, enum etcdlock_event event, void *arg);

/* A client on BASE, which must outlive it. ENDPOINTS: comma-separated host:port, http://, https://, [v6]:port,
 * unix:///path. LOG gets lines without a newline; NULL: none. Returns NULL and a sentence in WHY (of SIZE
 * bytes) for a bad list or when memory or descriptors are short. Nothing is connected yet. */
struct etcdlock_client *etcdlock_client_new(
    struct event_base *base, const char *endpoints, etcdlock_log_fn log, void *log_arg, char *why, size_t size);

/* Check a list of endpoints as etcdlock_client_new() would. Returns 0, or -1 and a sentence in WHY (of SIZE bytes). */
int etcdlock_check_endpoints(const char *endpoints, char *why, size_t size);

/* Free a client without locks. NULL is fine. */
void etcdlock_client_free(struct etcdlock_client *client);

/* A lock, idle. KEY is not empty; ID is for people to read; TIMING has been resolved; all are copied. Returns
 * NULL with errno EINVAL or ENOMEM. */
struct etcdlock *etcdlock_new(struct etcdlock_client *client, const char *key, const char *id,
    const struct etcdlock_timing *timing, etcdlock_event_fn on_event, void *arg);

/* How held leases are renewed; the default is ETCDLOCK_RENEW_RAFT. Only while IDLE: else -1, errno EBUSY. */
int etcdlock_set_renewal(struct etcdlock *lock, enum etcdlock_renewal how);

/* Free LOCK without a further event. What it has in etcd stays until its lease ends: release it first. NULL is
 * fine. */
void etcdlock_free(struct etcdlock *lock);

/* Start to acquire: ACQUIRED or REFUSED follows. While held it means "renew now". Returns 0; -1 with errno
 * EBUSY while RELEASING or LOST. */
int etcdlock_lock(struct etcdlock *lock);

/* Give up what LOCK has or wants: RELEASED follows, at most 5 s later. The protected work must be over. Also
 * right while waiting (cancels) and after DROPPED (cleans up). Returns 0; -1 with errno EINVAL while IDLE or
 * RELEASING. */
int etcdlock_unlock(struct etcdlock *lock);

/* Release what another process, dead by now with all that it protected, had: its etcdlock_owner_key() and
 * etcdlock_create_revision(); HELD: it held the lock, and was not only waiting for it. On an IDLE lock of the same key
 * and id; RELEASED follows, at most 5 s later. Returns 0; -1 with errno EBUSY unless IDLE, EINVAL where OWNER_KEY is
 * not a key of this lock. */
int etcdlock_reclaim(struct etcdlock *lock, const char *owner_key, int64_t create_revision, bool held);

enum etcdlock_state etcdlock_state(const struct etcdlock *lock);
const char *etcdlock_state_name(enum etcdlock_state state);

/* When protected work must have ended: counted from the moment that the lease's grant was sent, less the
 * margin. 0 unless HELD or DOUBTFUL. */
int64_t etcdlock_deadline(const struct etcdlock *lock);

/* The fencing token of the last acquisition, as "etcdctl lock" gives it in ETCD_LOCK_REV: the store's revision
 * when the lock was acquired. It grows with every acquisition of the key. */
int64_t etcdlock_revision(const struct etcdlock *lock);

/* Our own key in etcd and its create revision, for guarded transactions. NULL and 0 before there is one. */
const char *etcdlock_owner_key(const struct etcdlock *lock);
int64_t etcdlock_create_revision(const struct etcdlock *lock);

/* The holder's id as last seen, "" where it gave none (etcdctl), and how many are ahead of us, the holder
 * included; -1: not known. */
const char *etcdlock_holder(const struct etcdlock *lock);
long etcdlock_ahead(const struct etcdlock *lock);

enum etcdlock_failure etcdlock_failure(const struct etcdlock *lock);

/* The first cause of the last trouble, with etcd's own words; "" if there was none. */
const char *etcdlock_error(const struct etcdlock *lock);

#ifdef __cplusplus
}
#endif

#endif
