/* Writes that etcd carries out only while our key is there: the user's transactions, one after the other.
 *
 * None is repeated, and each has a connection of its own, for libcurl repeats what it sent on a reused one that is then
 * found broken: a write that was lost on its way and came through late could undo a newer one. */
#include "lock/v3.h"

#include "base/strbuf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* An answer that takes longer is not waited for; nor one that comes after the deadline. */
#define TXN_LIMIT (5 * NSEC_PER_SEC)

#define TXN_MAX_BODY ((size_t)64 << 10)

struct v3_txn {
	struct v3 *v3;
	char *body;
	nsec deadline;
	etcdlock_txn_fn done;
	void *arg;
	struct http_request *request;
	TAILQ_ENTRY(v3_txn) link;
};

static void
txn_free(struct v3_txn *txn)
{
	TAILQ_REMOVE(&txn->v3->txns, txn, link);
	http_cancel(txn->request);
	free(txn->body);
	free(txn);
}

static void
txn_end(struct v3_txn *txn, enum etcdlock_txn_result result, int64_t revision, const char *error)
{
	struct v3 *v3 = txn->v3;
	struct etcdlock *lock = v3->lock;
	etcdlock_txn_fn done = txn->done;
	void *arg = txn->arg;

	txn_free(txn);
	/* Before the callback, which may free the lock. */
	if (!TAILQ_EMPTY(&v3->txns))
		timer_arm(lock->client->loop, &v3->next_txn, clock_now());
	done(lock, result, revision, error, arg);
}

static void
on_done(void *arg, const struct http_response *response)
{
	struct v3_txn *txn = arg;
	char text[V3_TEXT], full[V3_TEXT + 128];
	bool succeeded = false;
	int64_t revision = 0;
	enum v3_verdict verdict;
	const char *wrong;
	json_t *answer;

	txn->request = NULL;
	if (response->error != NULL) {
		snprintf(full, sizeof(full), "no answer: %s", response->error);
		txn_end(txn, response->sent ? ETCDLOCK_TXN_UNSURE : ETCDLOCK_TXN_REFUSED, 0, full);
		return;
	}
	verdict = v3_judge(response->status, response->body, response->len, &answer, text);
	if (verdict != V3_OK) {
		/* A member that gives up waiting for the others does not know what becomes of it. */
		txn_end(txn, verdict == V3_TRANSIENT ? ETCDLOCK_TXN_UNSURE : ETCDLOCK_TXN_REFUSED, 0, text);
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
	struct etcdlock_client *client = v3->lock->client;
	struct v3_txn *txn = TAILQ_FIRST(&v3->txns);
	struct http_spec spec = { .once = true, .max_body = TXN_MAX_BODY, .on_done = on_done };
	const struct endpoint *endpoint = endpoints_current(client->endpoints);
	nsec left;
	char *url;

	if (txn == NULL || txn->request != NULL)
		return;
	left = txn->deadline - clock_now();
	if (left <= 0) {
		txn_end(txn, ETCDLOCK_TXN_NOT_HELD, 0, "not sent before the lock's deadline");
		return;
	}
	url = str_printf("%s/v3/kv/txn", endpoint->url);
	spec.url = url;
	spec.unix_socket = endpoint->unix_socket;
	spec.lane = endpoint;
	spec.body = txn->body;
	spec.time_limit = left < TXN_LIMIT ? left : TXN_LIMIT;
	spec.arg = txn;
	if (url != NULL)
		txn->request = http_start(client->http, &spec);
	free(url);
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
	*txn = (struct v3_txn){ .v3 = v3, .deadline = v3->lock->deadline, .done = done, .arg = done_arg };
	TAILQ_INSERT_TAIL(&v3->txns, txn, link);
	txn->body = v3_encode_guarded(&v3->names, v3->create_revision, ops, count);
	if (txn->body == NULL) {
		txn_free(txn);
		errno = ENOMEM;
		return -1;
	}
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
