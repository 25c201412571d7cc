/* Writes that etcd carries out only while our key is there: the user's transactions, one after the other.
 *
 * None is repeated, and each has a connection of its own, for libcurl repeats what it sent on a reused one that is then
 * found broken: a write that was lost on its way and came through late could undo a newer one. */
#include "lock/v3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* An answer that takes longer is not waited for; nor one that comes after the deadline. */
#define TXN_LIMIT (5 * NSEC_PER_SEC)

/* Another token is on its way. */
#define TOKEN_PAUSE (50 * NSEC_PER_MSEC)

#define TXN_MAX_BODY ((size_t)64 << 10)

struct v3_txn {
	struct v3 *v3;
	char *body;
	int64_t created; /* the create revision that guards it */
	struct lock_result *result;
	struct http_request *request;
	struct endpoint *endpoint;
	unsigned token;    /* that went with it */
	bool reauthorized; /* an earlier one was not good */
	TAILQ_ENTRY(v3_txn) link;
};

static void
txn_free(struct v3_txn *txn)
{
	TAILQ_REMOVE(&txn->v3->txns, txn, link);
	http_cancel(txn->request);
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
	lock_post_result(v3->lock, txn->result);
	txn->result = NULL;
	txn_free(txn);
	if (!TAILQ_EMPTY(&v3->txns))
		timer_arm(v3->lock->client->loop, &v3->next_txn, clock_now());
}

/* Only etcd's own word is a no: who gives up waiting for the others, and who cannot be understood, may have done it. */
static bool
is_no(enum v3_verdict verdict)
{
	return verdict == V3_REFUSED || verdict == V3_NO_SPACE || verdict == V3_UNAUTHENTICATED ||
	    verdict == V3_NO_AUTH;
}

static void
on_done(void *arg, const struct http_response *response)
{
	struct v3_txn *txn = arg;
	struct etcdlock_client *client = txn->v3->lock->client;
	char text[V3_TEXT], full[V3_TEXT + 128];
	bool succeeded = false;
	int64_t revision = 0;
	enum v3_verdict verdict;
	const char *wrong;
	json_t *answer;

	txn->request = NULL;
	if (response->error != NULL) {
		endpoints_failed(client->endpoints, txn->endpoint);
		snprintf(full, sizeof(full), "no answer: %s", response->error);
		txn_end(txn, response->sent ? ETCDLOCK_TXN_UNSURE : ETCDLOCK_TXN_REFUSED, 0, full);
		return;
	}
	verdict = v3_judge(response->status, response->body, response->len, &answer, text);
	if (verdict == V3_UNAUTHENTICATED && client->auth != NULL && !txn->reauthorized) {
		/* So it was not carried out. */
		txn->reauthorized = true;
		auth_reject(client->auth, txn->token);
		timer_arm(client->loop, &txn->v3->next_txn, clock_now());
		return;
	}
	if (verdict != V3_OK) {
		txn_end(txn, is_no(verdict) ? ETCDLOCK_TXN_REFUSED : ETCDLOCK_TXN_UNSURE, 0, text);
		return;
	}
	wrong = v3_decode_guarded(answer, &succeeded, &revision);
	json_decref(answer);
	if (wrong != NULL)
		txn_end(txn, ETCDLOCK_TXN_UNSURE, 0, wrong);
	else if (succeeded)
		txn_end(txn, ETCDLOCK_TXN_DONE, revision, "");
	else
		txn_end(txn, ETCDLOCK_TXN_NOT_HELD, 0, "the lock is not ours any more");
}

static void
on_next(void *arg)
{
	struct v3 *v3 = arg;
	struct etcdlock *lock = v3->lock;
	struct etcdlock_client *client = lock->client;
	struct v3_txn *txn = TAILQ_FIRST(&v3->txns);
	struct http_spec spec = { .once = true, .max_body = TXN_MAX_BODY, .on_done = on_done };
	nsec left;

	if (txn == NULL || txn->request != NULL)
		return;
	left = lock->deadline - clock_now();
	if (!lock_owned(lock) || txn->created != v3->create_revision || left <= 0) {
		txn_end(txn, ETCDLOCK_TXN_NOT_HELD, 0, "not sent before the lock was given up or lost");
		return;
	}
	if (!auth_ready(client->auth)) {
		timer_arm(client->loop, &v3->next_txn, clock_now() + TOKEN_PAUSE);
		return;
	}
	/* Beside the lane of that endpoint: no renewal is to wait for an answer to what a user writes. */
	txn->endpoint = endpoints_current(client->endpoints);
	spec.body = txn->body;
	spec.time_limit = left < TXN_LIMIT ? left : TXN_LIMIT;
	spec.arg = txn;
	txn->request = client_send(client, txn->endpoint, "/v3/kv/txn", &spec, &txn->token);
	if (txn->request == NULL)
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
	timer_arm(v3->lock->client->loop, &v3->next_txn, clock_now());
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

	timer_disarm(v3->lock->client->loop, &v3->next_txn);
	for (txn = TAILQ_FIRST(&v3->txns); txn != NULL; txn = next) {
		next = TAILQ_NEXT(txn, link);
		txn_free(txn);
	}
}
