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
	ETCDLOCK_ACQUIRED, /* the lock is held: etcdlock_deadline(), etcdlock_revision(). Never after the deadline */
	ETCDLOCK_QUEUE,    /* the place in the queue is known or has changed: etcdlock_holder(), etcdlock_ahead() */
	ETCDLOCK_RENEWED,  /* etcdlock_deadline() has moved */
	ETCDLOCK_EXPIRING, /* not renewed in time: the grace before the deadline begins, stop the work now */
	ETCDLOCK_DROPPED,  /* the lock is lost, the work must be dead already: etcdlock_error() says why */
	ETCDLOCK_REFUSED,  /* not acquired: etcdlock_failure() and etcdlock_error() say why. The lock is IDLE again */
	ETCDLOCK_RELEASED, /* nothing of ours is left in etcd, or etcdlock_error() says what may be. IDLE again */
	ETCDLOCK_STATE     /* etcdlock_state() has changed; for those who show it. Several changes may come as one */
};
#define ETCDLOCK_EVENTS (ETCDLOCK_STATE + 1)

/* Why a lock was not acquired. */
enum etcdlock_failure {
	ETCDLOCK_FAILURE_NONE,
	ETCDLOCK_FAILURE_CONFLICT,    /* somebody else holds it, and the wait limit is over */
	ETCDLOCK_FAILURE_UNREACHABLE, /* no endpoint answered in time */
	ETCDLOCK_FAILURE_REFUSED,     /* etcd, or what is at the endpoints, said no */
	ETCDLOCK_FAILURE_MEMORY
};

/* Levels of the log function, as in syslog's order. */
enum etcdlock_log_level { ETCDLOCK_LOG_ERROR, ETCDLOCK_LOG_WARNING, ETCDLOCK_LOG_NOTICE, ETCDLOCK_LOG_DEBUG };

/* Called from inside of any function here, which it must not call itself. */
typedef void (*etcdlock_log_fn)(void *arg, int level, const char *line);
typedef void (*etcdlock_event_fn)(struct etcdlock *lock, enum etcdlock_event event, void *arg);

/* --- configuration --- */

/* What a client and a lock need to know, as settings with a name and a value in text:
 *
 *   endpoints        HOST:PORT, HOST, [V6]:PORT, http://..., https://... or unix:///PATH; several with commas between
 *                    them; localhost:2379
 *   discovery-srv    a domain, whose SRV records (_etcd-client-ssl._tcp, else _etcd-client._tcp) say where etcd
 *                    is; they are looked up again when no endpoint answers. With cacert, cert or the like only
 *                    those of https count, and certificates are to be issued to the domain, as for etcdctl
 *   key              the lock's name in etcd; there is no default
 *   id               who we are, for people to read; the host name, with v2 the host name and /etcdlocker
 *   ttl              the lease's length, whole seconds; 60
 *   refresh          the renewal period; half the TTL
 *   wait             give up waiting for the lock after this long, 0: at once; "never"
 *   connect-timeout  how long every endpoint may be out of reach, before the lock is in the queue; 30s,
 *                    and 5s where wait is 0
 *   grace            how long before the deadline ETCDLOCK_EXPIRING comes; 8s, or what fits
 *   lock-delay       wait this long when a holder has vanished without saying so; 1s
 *   renew            raft, or keepalive: spares etcd the writes, and trusts what a leader that was frozen says
 *   api              v3, or v2: that of etcd-lock 1.x; see etcdlocker(1)
 *   cacert           a file (PEM) of those whose signature on etcd's certificates counts; those that the system trusts.
 *                    With this, cert or tls-server-name, endpoints without a scheme are https
 *   cert, cert-key   files (PEM) of our certificate and its key; without cert-key it is in the file of cert. Files
 *                    that have changed are read again for the next connection
 *   tls-server-name  the name in etcd's certificates; each endpoint's host
 *   insecure-skip-verify  yes: etcd's certificates are not checked; no
 *   user             NAME or NAME:PASSWORD, who we are to etcd; nobody
 *   password-file    the password is the first line of this file, which is read again for each token
 *   password         the password itself
 *
 * Spans of time are 30 (seconds), 1.5, 500ms, 2m, 1h; up to 100 years. */
struct etcdlock_config;

/* One with the defaults above. NULL with errno ENOMEM. Nothing is read from the environment. */
struct etcdlock_config *etcdlock_config_new(void);

/* Clients and locks that were made of it have copies. NULL is fine. */
void etcdlock_config_free(struct etcdlock_config *config);

/* Set NAME to VALUE, which is copied. Returns 0, or -1 with errno EINVAL or ENOMEM and in WHY (of SIZE bytes, may be 0)
 * a sentence about the value that says what would work. */
int etcdlock_config_set(struct etcdlock_config *config, const char *name, const char *value, char *why, size_t size);

/* Take what was not set by hand from the variables of etcdlocker(1): ETCD_LOCK_HOST,
 * ETCD_LOCK_DISCOVERY_SRV, ETCD_LOCK_ID, ETCD_LOCK_KEY,
 * ETCD_LOCK_TTL, ETCD_LOCK_REFRESH, ETCD_LOCK_API, ETCD_LOCK_CACERT, ETCD_LOCK_CERT, ETCD_LOCK_CERT_KEY,
 * ETCD_LOCK_TLS_SERVER_NAME, ETCD_LOCK_USER, ETCD_LOCK_PASSWORD_FILE and ETCD_LOCK_PASSWORD; where there is none of a
 * setting from etcdctl's: ETCDCTL_ENDPOINTS, ETCDCTL_DISCOVERY_SRV, ETCDCTL_CACERT, ETCDCTL_CERT, ETCDCTL_KEY,
 * ETCDCTL_USER and ETCDCTL_PASSWORD. An empty variable is an unset one. Returns as etcdlock_config_set(). */
int etcdlock_config_from_env(struct etcdlock_config *config, char *why, size_t size);

/* The user whose password is missing; NULL: none is. No client can be made without. */
const char *etcdlock_config_wants_password(const struct etcdlock_config *config);

/* The variable that stands in for the setting NAME; NULL where there is none. */
const char *etcdlock_config_variable(const char *name);

/* See whether a lock can be made of it: there is a key, and refresh + grace + margin + one try fit into the TTL.
 * Returns 0, or -1 with errno EINVAL and in WHY a sentence, with the arithmetic. */
int etcdlock_config_check(const struct etcdlock_config *config, char *why, size_t size);

/* The key, NULL while there is none; the id; the user, NULL where there is none; the span NAME in milliseconds as it
 * works out, -1 where the spans do not fit, where it is "never", or where there is no such span. */
const char *etcdlock_config_key(const struct etcdlock_config *config);
const char *etcdlock_config_id(const struct etcdlock_config *config);
const char *etcdlock_config_user(const struct etcdlock_config *config);
int64_t etcdlock_config_ms(const struct etcdlock_config *config, const char *name);

/* --- clients and locks --- */

/* A client on BASE, which must outlive it, for the endpoints of CONFIG. LOG gets lines without a newline; NULL: none.
 * Returns NULL, and a sentence in WHY (of SIZE bytes), when memory or descriptors are short. Nothing is connected yet.
 */
struct etcdlock_client *etcdlock_client_new(struct event_base *base, const struct etcdlock_config *config,
    etcdlock_log_fn log, void *log_arg, char *why, size_t size);

/* Free a client without locks. NULL is fine. In a child that was forked this and etcdlock_free() free memory only: the
 * parent and its connections go on. */
void etcdlock_client_free(struct etcdlock_client *client);

/* A lock, idle, with the key, the id and the spans of CONFIG, which is not needed any more afterwards. ON_EVENT is
 * called with ARG, and must not be NULL.
 * Returns NULL with errno EINVAL (see etcdlock_config_check()) or ENOMEM. */
struct etcdlock *etcdlock_new(
    struct etcdlock_client *client, const struct etcdlock_config *config, etcdlock_event_fn on_event, void *arg);

/* Change ttl, refresh, grace, wait or lock-delay, in any state: what is held is renewed at once with the new TTL.
 * Returns 0, or -1 with errno EINVAL or ENOMEM and in WHY (of SIZE bytes) a sentence: then nothing has changed. */
int etcdlock_set(struct etcdlock *lock, const char *name, const char *value, char *why, size_t size);

/* Free LOCK without a further event. What it has in etcd stays until its lease ends: release it first. NULL is
 * fine. */
void etcdlock_free(struct etcdlock *lock);

/* Start to acquire: ACQUIRED or REFUSED follows, or DROPPED where the lock was lost before you could be told. While
 * held it means "renew now". Returns 0; -1 with errno EBUSY while RELEASING or LOST. */
int etcdlock_lock(struct etcdlock *lock);

/* Give up what LOCK has or wants: RELEASED follows, at most 5 s later. The protected work must be over; where it has
 * outlived the deadline, DROPPED comes first, and etcdlock_error() says why. Also right while waiting (cancels) and
 * after DROPPED (cleans up). Returns 0; -1 with errno EINVAL while IDLE or RELEASING. */
int etcdlock_unlock(struct etcdlock *lock);

/* Release what another process, dead by now with all that it protected, had: its etcdlock_owner_key() and
 * etcdlock_create_revision(); HELD: it held the lock, and was not only waiting for it. On an IDLE lock of the same key
 * and id; RELEASED follows, at most 5 s later. Returns 0; -1 with errno EBUSY unless IDLE, EINVAL where OWNER_KEY is
 * not a key of this lock. */
int etcdlock_reclaim(struct etcdlock *lock, const char *owner_key, int64_t create_revision, bool held);

/* --- writes that only the holder may do --- */

/* KEY becomes VALUE (LEN bytes; any), or is deleted where VALUE is NULL. */
struct etcdlock_op {
	const char *key;
	const void *value;
	size_t len;
};

enum etcdlock_txn_result {
	ETCDLOCK_TXN_DONE,     /* all of it was done, at REVISION */
	ETCDLOCK_TXN_NOT_HELD, /* nothing was done, as the lock is not ours any more */
	ETCDLOCK_TXN_REFUSED,  /* nothing was done, for the reason ERROR */
	ETCDLOCK_TXN_UNSURE /* no answer: it was done, or not, or may be yet, but not after somebody else has the lock
			     */
};

typedef void (*etcdlock_txn_fn)(
    struct etcdlock *lock, enum etcdlock_txn_result result, int64_t revision, const char *error, void *arg);

/* Carry out OPS (COUNT of them, copied; etcd takes 128, each key once) in one transaction that etcd does only while
 * LOCK's key is there: what a holder that was paused sends too late does nothing. Transactions of one lock are sent one
 * after the other, and never repeated; what is not sent yet when the lock is
 * given up is not sent any more. DONE (NULL: nobody wants to know) is called from the loop, unless the lock is freed
 * before. Returns 0; -1 with errno ENOLCK where the lock is not owned, EINVAL where COUNT is 0, ENOTSUP with an API
 * that has no transactions, or ENOMEM. */
int etcdlock_txn(struct etcdlock *lock, const struct etcdlock_op *ops, size_t count, etcdlock_txn_fn done, void *arg);

/* --- who has a lock --- */

struct etcdlock_contender {
	const char *id;   /* "" where it gave none (etcdctl) */
	const char *key;  /* its own in etcd */
	int64_t revision; /* of the store when it came; with the v2 API the index at which the key was created */
	int64_t left_ms;  /* of the holder's lease; -1: not known, or one that waits */
	bool no_lease;    /* its key has none, so no lock's client made it, and it never goes by itself */
};

/* QUEUE has COUNT contenders, the holder first, then who waits in that order (the v2 API does not tell of them); none:
 * the lock is free. Or ERROR is a sentence, and else NULL. QUEUE is valid as long as the query. */
typedef void (*etcdlock_query_fn)(void *arg, const struct etcdlock_contender *queue, size_t count, const char *error);

/* A look at a lock, without taking part. */
struct etcdlock_query;

/* Ask who has the lock of CONFIG's key, for as long as its connect-timeout (5s where none was set). DONE is called
 * once, from the loop, and may free the query. Returns NULL with errno EINVAL (see etcdlock_config_check()) or ENOMEM.
 */
struct etcdlock_query *etcdlock_query_new(
    struct etcdlock_client *client, const struct etcdlock_config *config, etcdlock_query_fn done, void *arg);

/* At any time; NULL is fine. */
void etcdlock_query_free(struct etcdlock_query *query);

/* --- what is known of a lock --- */

/* What it was made with. */
const char *etcdlock_key(const struct etcdlock *lock);
const char *etcdlock_id(const struct etcdlock *lock);

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

/* The holder's id as last seen, "" where it gave none (etcdctl) or is not known, and how many were ahead of us then,
 * the holder included; -1: not known. */
const char *etcdlock_holder(const struct etcdlock *lock);
long etcdlock_ahead(const struct etcdlock *lock);

/* True where etcdlock_ahead() is the number. False: it is at least so many, and the holder is not known, for nobody
 * reads a long queue to its end: more than 17 are ahead, or other keys are among them. */
bool etcdlock_ahead_is_exact(const struct etcdlock *lock);

/* That holder's own key in etcd, its etcdlock_owner_key(); NULL: not known. */
const char *etcdlock_holder_key(const struct etcdlock *lock);

/* The libraries that this one speaks to etcd with, and their versions: "libcurl/7.88.1 OpenSSL/3.0.20
 * libevent/2.1.12-stable jansson/2.14". Static. */
const char *etcdlock_libraries(void);

enum etcdlock_failure etcdlock_failure(const struct etcdlock *lock);

/* The first cause of the last trouble, with etcd's own words; "" if there was none. */
const char *etcdlock_error(const struct etcdlock *lock);

#ifdef __cplusplus
}
#endif

#endif
