/* The v3 backend: what its parts have in common. */
#include "lock/v3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

nsec
v3_try_limit(const struct v3 *v3)
{
	return timing_try_limit(v3->lock->timing.ttl_s * NSEC_PER_SEC);
}

bool
v3_on_keepalives(const struct v3 *v3)
{
	return v3->lock->renewal == RENEW_KEEPALIVE || v3->full;
}

/* What is there can be kept in an etcd that is full, or given up; who comes is sent away. */
static enum call_verdict
refused(struct v3 *v3, enum v3_verdict judged, char text[CALL_TEXT])
{
	client_explain(v3->lock->client, v3->lock->key, text, CALL_TEXT);
	if (lock_owned(v3->lock) || v3->leaving || (judged == V3_NO_SPACE && v3->held != NULL))
		return CALL_RETRY;
	lock_refused(v3->lock, text);
	return CALL_DONE;
}

bool
v3_accept(struct v3 *v3, const struct call *call, bool quorum, long status, const char *body, size_t len,
    json_t **answer, enum v3_verdict *judged, enum call_verdict *verdict, char text[CALL_TEXT])
{
	enum v3_store store;

	*judged = v3_judge(status, body, len, answer, text);
	*verdict = CALL_RETRY;
	switch (*judged) {
	case V3_OK:
		store = v3_check_store(v3, *answer, call, quorum, text);
		if (store == V3_STORE_OURS)
			return true;
		json_decref(*answer);
		*answer = NULL;
		*verdict = store == V3_STORE_OTHER ? CALL_RETRY : CALL_DONE;
		break;
	case V3_NOT_ETCD:
		*verdict = client_not_found(v3->lock->client, status) ? CALL_RETRY : CALL_UNUSABLE;
		break;
	case V3_UNAUTHENTICATED:
		if (v3->lock->client->auth != NULL)
			*verdict = CALL_UNAUTHORIZED;
		else
			*verdict = refused(v3, *judged, text);
		break;
	case V3_NO_SPACE:
	case V3_NO_AUTH:
	case V3_REFUSED:
		*verdict = refused(v3, *judged, text);
		break;
	case V3_TRANSIENT:
	case V3_LEASE_GONE:
	case V3_LEASE_EXISTS:
		break;
	}
	return false;
}

int
v3_call(struct v3 *v3, struct call *call, const char *path, char *body)
{
	call->mark = v3->revision;
	return call_start(call, path, body, v3_try_limit(v3));
}

enum call_verdict
v3_senseless(const char *wrong, char text[CALL_TEXT])
{
	snprintf(text, CALL_TEXT, "an answer makes no sense: %s", wrong);
	return CALL_RETRY;
}

void
v3_trouble(struct v3 *v3, const struct call_trouble *trouble)
{
	v3_watch_distrust(v3, trouble->endpoint);
	lock_trouble(v3->lock, trouble);
}

static void
v3_stop(void *arg)
{
	struct v3 *v3 = arg;

	v3_extend_stop(v3);
	call_stop(&v3->look);
	call_stop(&v3->depart);
	call_stop(&v3->revoke);
	timer_disarm(v3->lock->client->loop, &v3->step_aside);
	v3_watch_stop(v3);
	cluster_stop_waiting(v3->lock->client->cluster, &v3->clusters);
	v3->leaving = v3->reclaiming = false;
}

static void *
v3_new(struct etcdlock *lock)
{
	struct v3 *v3 = calloc(1, sizeof(*v3));

	if (v3 == NULL)
		return NULL;
	v3->lock = lock;
	v3_store_init(v3);
	v3_extend_init(v3);
	v3_queue_init(v3);
	v3_leave_init(v3);
	v3_watch_init(v3);
	v3_txn_init(v3);
	return v3;
}

static void
v3_free(void *arg)
{
	struct v3 *v3 = arg;

	v3_stop(v3);
	v3_txn_free(v3);
	v3_names_free(&v3->names);
	free(v3->predecessor);
	free(v3);
}

static const char *
v3_owner_key(const void *arg)
{
	const struct v3 *v3 = arg;

	return v3->create_revision == 0 ? NULL : v3->names.key;
}

static int64_t
v3_create_revision(const void *arg)
{
	return ((const struct v3 *)arg)->create_revision;
}

const struct backend_ops backend_v3 = {
	.new = v3_new,
	.free = v3_free,
	.join = v3_join,
	.look = v3_look,
	.follow = v3_follow,
	.renew = v3_renew,
	.leave = v3_leave,
	.reclaim = v3_reclaim,
	.txn = v3_txn_start,
	.stop = v3_stop,
	.owner_key = v3_owner_key,
	.create_revision = v3_create_revision,
};
