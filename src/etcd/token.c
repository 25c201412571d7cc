#include "etcd/token.h"

#include "base/base64.h"
#include "base/duration.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "etcd/call.h"
#include "etcd/jwt.h"
#include "etcd/password_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How often to look into the file of a password that was good once, and is not any more; and when to ask with the old
 * one again: it costs etcd 100 ms. */
#define LOOK_PAUSE NSEC_PER_SEC
#define ASK_FIRST (2 * NSEC_PER_SEC)
#define ASK_CAP (30 * NSEC_PER_SEC)

#define STUMBLE_PAUSE (100 * NSEC_PER_MSEC)

/* Invariants: with v2 there is no request; a request is under way or AGAIN is armed, never both. */
struct token {
	struct session *session;
	struct credentials credentials; /* the session's */
	char *user, *password;
	char *password_file; /* where PASSWORD is from; NULL: not from a file that can be read again */
	nsec try_limit;
	bool worked; /* etcd has taken user and password before */
	struct call call;
	struct task fetch;  /* a token is wanted */
	struct timer again; /* to look whether it is time to fetch one */
	struct backoff asks;
	nsec ask_at; /* what was refused may be asked for again */
};

/* A file that is not one (a pipe) could be read once only, and that was done. True where there is another password. */
static bool
read_password_again(struct token *token)
{
	char *password = token->password_file == NULL ? NULL : password_file_read(token->password_file, true, NULL);
	bool other = password != NULL && strcmp(password, token->password) != 0;

	if (!other) {
		secret_free(password);
		return false;
	}
	secret_free(token->password);
	token->password = password;
	return true;
}

static void
fetch(void *arg)
{
	struct token *token = arg;

	if (call_active(&token->call) || timer_armed(&token->again))
		return;
	if (!read_password_again(token) && clock_now() < token->ask_at) {
		timer_arm(token->session->loop, &token->again, clock_now() + LOOK_PAUSE);
		return;
	}
	if (call_start(&token->call, "/v3/auth/authenticate", v3_encode_authenticate(token->user, token->password),
		token->try_limit) == -1)
		timer_arm(token->session->loop, &token->again, clock_now() + STUMBLE_PAUSE);
}

/* It can be that no request waits for a token any more. */
static void
on_again(void *arg)
{
	struct token *token = arg;

	if (!TAILQ_EMPTY(&token->credentials.waiting))
		fetch(token);
}

/* Half of what is left from now on: its end is in wall-clock time, which might jump. */
static nsec
stale_of(const char *text)
{
	int32_t left = jwt_seconds_left(text, time(NULL));

	return left == 0 ? NSEC_NEVER : clock_now() + left * NSEC_PER_SEC / 2;
}

static enum call_verdict
on_token(struct token *token, const json_t *answer, char text[CALL_TEXT])
{
	const char *given = NULL, *wrong = v3_decode_token(answer, &given);
	char *header;

	if (wrong != NULL) {
		snprintf(text, CALL_TEXT, "an answer makes no sense: %s", wrong);
		return CALL_RETRY;
	}
	header = strdup(given);
	if (header == NULL) {
		snprintf(text, CALL_TEXT, "no memory for a token");
		return CALL_RETRY;
	}
	token->worked = true;
	token->ask_at = 0;
	backoff_reset(&token->asks);
	log_msg(&token->session->log, LEVEL_DEBUG, "etcd knows us as %s", token->user);
	credentials_set(&token->credentials, header, stale_of(header));
	return CALL_DONE;
}

/* User and password are not taken. */
static void
on_password_refused(struct token *token, const struct verdict *verdict)
{
	const struct call_trouble trouble = { .text = verdict->text, .answered = true };
	char span[DURATION_TEXT];
	nsec pause;

	if (token->worked && token->asks.retries == 0)
		log_msg(
		    &token->session->log, LEVEL_WARNING, "etcd gives user %s no token: %s", token->user, verdict->text);
	token->credentials.stale = NSEC_NEVER;
	if (token->credentials.ready)
		return; /* The old one is still good. */
	if (!token->worked || token->password_file == NULL) {
		credentials_refuse(&token->credentials, verdict);
		return;
	}
	/* It was changed in etcd, and will be in the file: that is no reason to give up a lock, or the waiting for one.
	 */
	pause = backoff_next(&token->asks);
	token->ask_at = clock_now() + pause;
	log_msg(&token->session->log, LEVEL_DEBUG, "user %s: %s; next try in %s, or when the file changes", token->user,
	    verdict->text, duration_text(pause, span));
	timer_arm(token->session->loop, &token->again, clock_now() + LOOK_PAUSE);
	credentials_tell_trouble(&token->credentials, &trouble);
}

static enum call_verdict
on_answer(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct token *token = arg;

	if (verdict->kind == VERDICT_OK)
		return on_token(token, verdict->answer, text);
	if (verdict->kind == VERDICT_NO_AUTH) {
		/* Requests need no user there; a token would even be refused. */
		log_msg(&token->session->log, LEVEL_DEBUG, "etcd asks for no user");
		credentials_set(&token->credentials, NULL, NSEC_NEVER);
		return CALL_DONE;
	}
	if (verdict->kind != VERDICT_REFUSED && verdict->kind != VERDICT_UNAUTHENTICATED)
		return CALL_RETRY;
	on_password_refused(token, verdict);
	return CALL_DONE;
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	credentials_tell_trouble(&((struct token *)arg)->credentials, trouble);
}

/* --- the source of the credentials --- */

static void
want(void *arg)
{
	struct token *token = arg;

	task_post(token->session->loop, &token->fetch);
}

static bool
replace(void *arg)
{
	struct token *token = arg;

	log_msg(&token->session->log, LEVEL_DEBUG, "etcd does not know our token any more");
	credentials_drop(&token->credentials);
	want(token);
	return true;
}

/* RFC 7617, section 2. */
static int
make_basic(struct token *token)
{
	char *pair = str_printf("%s:%s", token->user, token->password), *base64 = NULL, *header = NULL;

	if (pair != NULL)
		base64 = base64_encode(pair, strlen(pair));
	if (base64 != NULL)
		header = str_printf("Basic %s", base64);
	secret_wipe(pair);
	secret_wipe(base64);
	if (header == NULL)
		return -1;
	credentials_set(&token->credentials, header, NSEC_NEVER);
	return 0;
}

static bool
replace_basic(void *arg)
{
	return read_password_again(arg) && make_basic(arg) == 0;
}

/* --- public --- */

struct token *
token_new(struct session *session, const struct session_spec *spec)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble };
	struct credentials_source source = { .fetch = want, .replace = spec->v2 ? replace_basic : replace };
	struct token *token = calloc(1, sizeof(*token));
	bool good;

	if (token == NULL)
		return NULL;
	token->session = session;
	source.arg = token;
	credentials_init(&token->credentials, &source);
	token->try_limit = spec->token_limit;
	token->asks = (struct backoff){ .first = ASK_FIRST, .cap = ASK_CAP };
	timer_init(&token->again, on_again, token);
	task_init(&token->fetch, fetch, token);
	call_init(&token->call, session, &owner);
	token->call.owner.arg = token;
	token->call.anonymous = true;
	token->user = strdup(spec->user);
	token->password = secret_copy(spec->password);
	token->password_file = spec->password_file == NULL ? NULL : strdup(spec->password_file);
	good = token->user != NULL && token->password != NULL &&
	    (spec->password_file == NULL || token->password_file != NULL);
	if (good && (!spec->v2 || make_basic(token) == 0))
		return token;
	token_free(token);
	return NULL;
}

struct credentials *
token_credentials(struct token *token)
{
	return &token->credentials;
}

void
token_free(struct token *token)
{
	if (token == NULL)
		return;
	call_stop(&token->call);
	timer_disarm(token->session->loop, &token->again);
	task_cancel(token->session->loop, &token->fetch);
	credentials_clear(&token->credentials);
	secret_free(token->password);
	free(token->password_file);
	free(token->user);
	free(token);
}
