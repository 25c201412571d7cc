/* Writes that etcd carries out only while our key is there: the user's transactions, one after the other.
 *
 * None is repeated, and each has a connection of its own, for libcurl repeats what it sent on a reused one that is then
 * found broken: a write that was lost on its way and came through late could undo a newer one. */
#include "lock/v3/v3_struct.h"

#include "etcd/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* An answer is waited for no longer than this, and never beyond the deadline. */
#define TXN_LIMIT (5 * NSEC_PER_SEC)

/* How long to wait for a token that is on its way. */
#define TOKEN_PAUSE (50 * NSEC_PER_MSEC)

#define TXN_MAX_BODY ((size_t)64 << 10)

struct v3_txn {
	struct v3 *v3;
	char *body;
	int64_t created; /* the create revision that guards it */
	struct lock_result *result;
	struct attempt attempt;
	bool reauthorized; /* a token was not good */
	TAILQ_ENTRY(v3_txn) link;
};

static void
txn_free(struct v3_txn *txn)
{
	TAILQ_REMOVE(&txn->v3->txns, txn, link);
	attempt_cancel(&txn->attempt);
	free(txn->result);
	free(txn->body);
	free(txn);
}

static void
txn_end(struct v3_txn *txn, enum etcdlock_txn_result result, int64_t revision, const char *error)
{
	struct v3 *v3 = txn->v3;

	txn->result->result = result;
	txn->result->revision = revision;
	snprintf(txn->result->error, sizeof(txn->result->error), "%s", error);
	lock_events_post_result(v3->contender->events, txn->result);
	txn->result = NULL;
	txn_free(txn);
	if (!TAILQ_EMPTY(&v3->txns))
		timer_arm(v3->session->loop, &v3->next_txn, clock_now());
}

/* Only etcd's own word is a no: an etcd that gave up waiting for its peers, or that cannot be understood, might have
 * done it.
 */
static enum etcdlock_txn_result
result_of(const struct verdict *verdict)
{
	bool refused =
	    verdict->status == 0 ? !verdict->sent : verdict_is_refusal(verdict) || verdict->kind == VERDICT_TOKEN;

	return refused ? ETCDLOCK_TXN_REFUSED : ETCDLOCK_TXN_UNSURE;
}

static void
on_carried_out(struct v3_txn *txn, const json_t *answer)
{
	bool succeeded = false;
	int64_t revision = 0;
	const char *wrong = v3_decode_guarded(answer, &succeeded, &revision);

	if (wrong != NULL)
		txn_end(txn, ETCDLOCK_TXN_UNSURE, 0, wrong);
	else if (succeeded)
		txn_end(txn, ETCDLOCK_TXN_DONE, revision, "");
	else
		txn_end(txn, ETCDLOCK_TXN_NOT_HELD, 0, "the lock is not ours any more");
}

static void
on_done(void *arg, const struct verdict *verdict)
{
	struct v3_txn *txn = arg;
	struct session *session = txn->v3->session;
	char text[VERDICT_TEXT + 32];

	if (verdict->kind == VERDICT_OK) {
		on_carried_out(txn, verdict->answer);
	} else if (verdict->kind == VERDICT_TOKEN && verdict->status != 0 && !txn->reauthorized) {
		/* So it was not carried out. */
		txn->reauthorized = true;
		timer_arm(session->loop, &txn->v3->next_txn, clock_now());
	} else {
		if (verdict->status == 0)
			endpoints_failed(session->endpoints, verdict->endpoint);
		snprintf(text, sizeof(text), "%s%s", verdict->status == 0 ? "no answer: " : "", verdict->text);
		txn_end(txn, result_of(verdict), 0, text);
	}
}

static void
on_next(void *arg)
{
	struct v3 *v3 = arg;
	struct v3_txn *txn = TAILQ_FIRST(&v3->txns);
	struct attempt_spec spec = { .path = "/v3/kv/txn", .once = true, .max_body = TXN_MAX_BODY, .on_done = on_done };
	nsec left;

	if (txn == NULL || attempt_is_out(&txn->attempt))
		return;
	left = v3->contender->deadline - clock_now();
	if (v3->contender->deadline == 0 || txn->created != v3->create_revision || left <= 0) {
		txn_end(txn, ETCDLOCK_TXN_NOT_HELD, 0, "not sent before the lock was given up or lost");
		return;
	}
	if (!credentials_ready(v3->session->credentials)) {
		timer_arm(v3->session->loop, &v3->next_txn, clock_now() + TOKEN_PAUSE);
		return;
	}
	/* Beside the lane of that endpoint: no renewal is to wait for an answer to what a user writes. */
	spec.endpoint = endpoints_current(v3->session->endpoints);
	spec.body = txn->body;
	spec.time_limit = left < TXN_LIMIT ? left : TXN_LIMIT;
	spec.arg = txn;
	if (attempt_start(&txn->attempt, v3->session, &spec) == -1)
		txn_end(txn, ETCDLOCK_TXN_REFUSED, 0, "no memory for a request");
}

int
v3_txn_start(void *arg, const struct etcdlock_op *ops, size_t count, etcdlock_txn_fn done, void *done_arg)
{
	struct v3 *v3 = arg;
	struct v3_txn *txn = calloc(1, sizeof(*txn));

	if (txn == NULL)
		return -1;
	*txn = (struct v3_txn){ .v3 = v3, .created = v3->create_revision };
	TAILQ_INSERT_TAIL(&v3->txns, txn, link);
	txn->result = calloc(1, sizeof(*txn->result));
	txn->body = v3_encode_guarded(&v3->names, v3->create_revision, ops, count);
	if (txn->body == NULL || txn->result == NULL) {
		txn_free(txn);
		errno = ENOMEM;
		return -1;
	}
	txn->result->done = done;
	txn->result->arg = done_arg;
	timer_arm(v3->session->loop, &v3->next_txn, clock_now());
	return 0;
}

void
v3_txn_init(struct v3 *v3)
{
	TAILQ_INIT(&v3->txns);
	timer_init(&v3->next_txn, on_next, v3);
}

void
v3_txn_free(struct v3 *v3)
{
	struct v3_txn *txn, *next;

	timer_disarm(v3->session->loop, &v3->next_txn);
	for (txn = TAILQ_FIRST(&v3->txns); txn != NULL; txn = next) {
		next = TAILQ_NEXT(txn, link);
		txn_free(txn);
	}
}
