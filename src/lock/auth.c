#include "lock/auth.h"

#include "base/base64.h"
#include "base/duration.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "lock/call.h"
#include "lock/config.h"
#include "lock/jwt.h"
#include "lock/password_file.h"
#include "lock/v3_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* etcd spends some 100 ms on the hash of a password. */
#define TRY_LIMIT_LEAST (500 * NSEC_PER_MSEC)

/* How often to look into the file of a password that was good once, and is not any more; and when to ask with the old
 * one again: it costs etcd 100 ms. */
#define LOOK_PAUSE NSEC_PER_SEC
#define ASK_FIRST (2 * NSEC_PER_SEC)
#define ASK_CAP (30 * NSEC_PER_SEC)

#define STUMBLE_PAUSE (100 * NSEC_PER_MSEC)

struct auth {
	struct etcdlock_client *client;
	char *user, *password;
	char *password_file; /* where PASSWORD is from; NULL: not from a file that can be read again */
	char *header;        /* NULL: none is needed, or none is there yet */
	bool v2;
	nsec try_limit;
	bool ready;      /* HEADER is what etcd wants, as far as we know */
	bool worked;     /* etcd has taken user and password before */
	unsigned serial; /* of HEADER */
	nsec stale;      /* when to fetch another one, while this one is still good */
	struct call call;
	struct timer again; /* to look whether it is time to fetch one */
	struct backoff asks;
	nsec ask_at; /* what was refused may be asked for again */
	unsigned round;
	TAILQ_HEAD(, auth_waiter) waiting;
};

static void
set_header(struct auth *auth, char *header)
{
	secret_wipe(auth->header);
	auth->header = header;
	auth->serial++;
}

/* --- those who wait --- */

static void
leave(struct auth_waiter *waiter)
{
	TAILQ_REMOVE(&waiter->auth->waiting, waiter, link);
	waiter->auth = NULL;
}

static void
settle(struct auth *auth, nsec stale)
{
	struct auth_waiter *waiter;

	auth->ready = true;
	auth->stale = stale;
	while (auth->ready && (waiter = TAILQ_FIRST(&auth->waiting)) != NULL) {
		leave(waiter);
		waiter->ready(waiter->arg);
	}
}

/* The first that has not been told in this round. Telling one may end the waiting of others. */
static struct auth_waiter *
next_to_tell(struct auth *auth)
{
	struct auth_waiter *waiter;

	TAILQ_FOREACH(waiter, &auth->waiting, link)
	if (waiter->told != auth->round)
		break;
	if (waiter != NULL)
		waiter->told = auth->round;
	return waiter;
}

static void
refuse(struct auth *auth, long status, const char *body, size_t len)
{
	struct auth_waiter *waiter;

	auth->round++;
	while ((waiter = next_to_tell(auth)) != NULL) {
		leave(waiter);
		waiter->refused(waiter->arg, status, body, len);
	}
}

/* --- tokens --- */

/* A file that is not one (a pipe) could be read once only, and that was done. True where there is another password. */
static bool
read_password_again(struct auth *auth)
{
	char *password = auth->password_file == NULL ? NULL : password_file_read(auth->password_file, true, NULL);
	bool other = password != NULL && strcmp(password, auth->password) != 0;

	if (!other) {
		secret_free(password);
		return false;
	}
	secret_free(auth->password);
	auth->password = password;
	return true;
}

static void
fetch(struct auth *auth)
{
	if (call_active(&auth->call) || timer_armed(&auth->again))
		return;
	if (!read_password_again(auth) && clock_now() < auth->ask_at) {
		timer_arm(auth->client->loop, &auth->again, clock_now() + LOOK_PAUSE);
		return;
	}
	if (call_start(&auth->call, "/v3/auth/authenticate", v3_encode_authenticate(auth->user, auth->password),
		auth->try_limit) == -1)
		timer_arm(auth->client->loop, &auth->again, clock_now() + STUMBLE_PAUSE);
}

/* Nobody may want one any more. */
static void
on_again(void *arg)
{
	struct auth *auth = arg;

	if (!TAILQ_EMPTY(&auth->waiting))
		fetch(auth);
}

/* Half of what is left from now on: its end is in wall-clock time, which may jump. */
static nsec
stale_of(const char *token)
{
	int32_t left = jwt_seconds_left(token, time(NULL));

	return left == 0 ? NSEC_NEVER : clock_now() + left * NSEC_PER_SEC / 2;
}

static enum call_verdict
on_token(struct auth *auth, const json_t *answer, char text[CALL_TEXT])
{
	const char *token = NULL, *wrong = v3_decode_token(answer, &token);
	char *header;

	if (wrong != NULL) {
		snprintf(text, CALL_TEXT, "an answer makes no sense: %s", wrong);
		return CALL_RETRY;
	}
	header = strdup(token);
	if (header == NULL) {
		snprintf(text, CALL_TEXT, "no memory for a token");
		return CALL_RETRY;
	}
	set_header(auth, header);
	auth->worked = true;
	auth->ask_at = 0;
	backoff_reset(&auth->asks);
	log_msg(&auth->client->log, LEVEL_DEBUG, "etcd knows us as %s", auth->user);
	settle(auth, stale_of(header));
	return CALL_DONE;
}

/* A try failed, or no token was given: whoever waits is told. */
static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct auth *auth = arg;
	struct auth_waiter *waiter;

	auth->round++;
	while ((waiter = next_to_tell(auth)) != NULL)
		waiter->trouble(waiter->arg, trouble);
}

/* User and password are not taken. */
static void
on_password_refused(struct auth *auth, long status, const char *body, size_t len, const char *text)
{
	const struct call_trouble trouble = { .text = text, .answered = true };
	char span[DURATION_TEXT];
	nsec pause;

	if (auth->worked && auth->asks.retries == 0)
		log_msg(&auth->client->log, LEVEL_WARNING, "etcd gives user %s no token: %s", auth->user, text);
	auth->stale = NSEC_NEVER;
	call_stop(&auth->call);
	if (auth->ready)
		return; /* The old one is still good. */
	if (!auth->worked || auth->password_file == NULL) {
		refuse(auth, status, body, len);
		return;
	}
	/* It was changed in etcd, and will be in the file: that is no reason to give up a lock, or the waiting for one.
	 */
	pause = backoff_next(&auth->asks);
	auth->ask_at = clock_now() + pause;
	log_msg(&auth->client->log, LEVEL_DEBUG, "user %s: %s; next try in %s, or when the file changes", auth->user,
	    text, duration_text(pause, span));
	timer_arm(auth->client->loop, &auth->again, clock_now() + LOOK_PAUSE);
	on_trouble(auth, &trouble);
}

static enum call_verdict
on_answer(void *arg, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	struct auth *auth = arg;
	enum call_verdict verdict = CALL_DONE;
	json_t *answer;

	switch (v3_judge(status, body, len, &answer, text)) {
	case V3_OK:
		verdict = on_token(auth, answer, text);
		json_decref(answer);
		return verdict;
	case V3_NO_AUTH:
		/* Nobody needs a name there; a token would even be refused. */
		log_msg(&auth->client->log, LEVEL_DEBUG, "etcd asks for no user");
		set_header(auth, NULL);
		settle(auth, NSEC_NEVER);
		return CALL_DONE;
	case V3_NOT_ETCD:
		return client_not_found(auth->client, status) ? CALL_RETRY : CALL_UNUSABLE;
	case V3_REFUSED:
	case V3_UNAUTHENTICATED:
		break;
	case V3_TRANSIENT:
	case V3_NO_SPACE:
	case V3_LEASE_GONE:
	case V3_LEASE_EXISTS:
		return CALL_RETRY;
	}
	on_password_refused(auth, status, body, len, text);
	return CALL_DONE;
}

/* RFC 7617, section 2. */
static int
make_basic(struct auth *auth)
{
	char *pair = str_printf("%s:%s", auth->user, auth->password), *base64 = NULL;

	if (pair != NULL)
		base64 = base64_encode(pair, strlen(pair));
	if (base64 != NULL)
		set_header(auth, str_printf("Basic %s", base64));
	secret_wipe(pair);
	secret_wipe(base64);
	auth->ready = true;
	return auth->header == NULL ? -1 : 0;
}

/* --- for the calls --- */

const char *
auth_header(const struct auth *auth, unsigned *serial)
{
	*serial = auth == NULL ? 0 : auth->serial;
	return auth == NULL ? NULL : auth->header;
}

bool
auth_ready(struct auth *auth)
{
	if (auth == NULL)
		return true;
	/* Watches and transactions look in, and do not wait. */
	if (!auth->ready || clock_now() >= auth->stale)
		fetch(auth);
	return auth->ready;
}

void
auth_wait(struct auth *auth, struct auth_waiter *waiter)
{
	auth_stop_waiting(waiter);
	waiter->auth = auth;
	waiter->told = auth->round;
	TAILQ_INSERT_TAIL(&auth->waiting, waiter, link);
	fetch(auth);
}

void
auth_stop_waiting(struct auth_waiter *waiter)
{
	if (waiter->auth != NULL)
		leave(waiter);
}

void
auth_reject(struct auth *auth, unsigned serial)
{
	if (auth == NULL || serial != auth->serial || !auth->ready)
		return;
	if (auth->v2) {
		if (read_password_again(auth))
			(void)make_basic(auth);
		return;
	}
	log_msg(&auth->client->log, LEVEL_DEBUG, "etcd does not know our token any more");
	set_header(auth, NULL);
	auth->ready = false;
	fetch(auth);
}

struct auth *
auth_new(struct etcdlock_client *client, const struct etcdlock_config *config)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble };
	struct auth *auth = calloc(1, sizeof(*auth));
	bool good;

	if (auth == NULL)
		return NULL;
	auth->client = client;
	auth->v2 = config->v2;
	auth->stale = NSEC_NEVER;
	auth->try_limit = timing_try_limit(config->timing.ttl_s * NSEC_PER_SEC);
	if (auth->try_limit < TRY_LIMIT_LEAST)
		auth->try_limit = TRY_LIMIT_LEAST;
	auth->asks = (struct backoff){ .first = ASK_FIRST, .cap = ASK_CAP };
	TAILQ_INIT(&auth->waiting);
	timer_init(&auth->again, on_again, auth);
	call_init(&auth->call, client, &owner);
	auth->call.owner.arg = auth;
	auth->call.anonymous = true;
	auth->user = strdup(config->user);
	auth->password = secret_copy(config->password);
	auth->password_file = config->password_file == NULL ? NULL : strdup(config->password_file);
	good = auth->user != NULL && auth->password != NULL &&
	    (config->password_file == NULL || auth->password_file != NULL);
	if (good && (!config->v2 || make_basic(auth) == 0))
		return auth;
	auth_free(auth);
	return NULL;
}

void
auth_free(struct auth *auth)
{
	if (auth == NULL)
		return;
	call_stop(&auth->call);
	timer_disarm(auth->client->loop, &auth->again);
	set_header(auth, NULL);
	secret_free(auth->password);
	free(auth->password_file);
	free(auth->user);
	free(auth);
}
