/* Giving up what we have in etcd. Nothing is given up by waiting: what may have been created is revoked. */
#include "lock/v3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Who takes over looks at the queue first: our revocation, a write, must not come between. */
#define STEP_ASIDE (5 * NSEC_PER_MSEC)

/* Every lease that may exist is revoked, and its keys are gone with it. */
static void
left(struct v3 *v3)
{
	v3->leaving = false;
	v3->held = NULL;
	v3->create_revision = 0;
	v3_names_free(&v3->names);
	lock_left(v3->lock);
}

void
v3_revoke_next(struct v3 *v3)
{
	struct lease *lease;

	if (call_active(&v3->revoke))
		return;
	lease = lease_next_retired(&v3->ledger);
	if (lease == NULL) {
		if (v3->leaving)
			left(v3);
		return;
	}
	v3->revoking = lease->id;
	if (v3_call(v3, &v3->revoke, "/v3/kv/lease/revoke", v3_encode_lease(lease->id)) == -1)
		lock_stumbled(v3->lock);
}

bool
v3_delete_own(struct v3 *v3)
{
	return v3_call(v3, &v3->depart, "/v3/kv/txn", v3_encode_delete(&v3->names, v3->create_revision)) == 0;
}

void
v3_leave_next(struct v3 *v3)
{
	if (v3->mark && v3_call(v3, &v3->depart, "/v3/kv/txn", v3_encode_mark(&v3->names, v3->create_revision)) == 0)
		return;
	if (v3->foreign && v3_delete_own(v3))
		return;
	lease_retire_all(&v3->ledger);
	v3_revoke_next(v3);
}

void
v3_leave(void *arg, bool held)
{
	struct v3 *v3 = arg;

	v3->leaving = true;
	/* A waiter has run nothing, yet it does not announce its leaving: the next one must not take its going for
	 * the word of a holder that has vanished before it. */
	v3->mark = held && v3->create_revision != 0;
	call_stop(&v3->look);
	call_stop(&v3->revoke);
	cluster_stop_waiting(v3->lock->client->cluster, &v3->clusters);
	v3_watch_stop(v3);
	/* A grant that is out may come after its revocation: have its answer first. */
	if (call_in_flight(&v3->extend) && (v3->stage == V3_STAGE_JOIN_GRANT || v3->stage == V3_STAGE_RENEW_GRANT))
		return;
	v3_extend_stop(v3);
	v3_leave_next(v3);
}

int
v3_reclaim(void *arg, const char *owner_key, int64_t create_revision, bool held)
{
	struct v3 *v3 = arg;
	const struct etcdlock *lock = v3->lock;
	size_t len = strlen(lock->key);
	uint64_t lease;

	/* KEY/<the lease that the key was born with>; by now it is on another one, which the look will tell. */
	if (strncmp(owner_key, lock->key, len) != 0 || sscanf(owner_key + len, "/%" SCNx64, &lease) != 1 ||
	    create_revision <= 0) {
		errno = EINVAL;
		return -1;
	}
	v3_names_free(&v3->names);
	if (v3_names_init(&v3->names, lock->key, lock->id, (int64_t)lease) == -1)
		return -1;
	v3->reclaim_held = held;
	v3->create_revision = create_revision;
	v3->reclaiming = true;
	v3->leaving = true; /* so that what fails is tried again until the time is over */
	v3_look(v3);
	return 0;
}

void
v3_reclaim_found(struct v3 *v3, const struct v3_kv *kv)
{
	bool found = kv != NULL && kv->create_revision == v3->create_revision;

	v3->reclaiming = false;
	if (found && kv->lease != 0)
		*lease_open(&v3->ledger, NULL, (struct moment){ 0, 0 }, 0) =
		    (struct lease){ .id = kv->lease, .exposed = true };
	/* A move that the dead process had sent may still come, and its lease we do not know: delete the key itself. */
	v3->foreign = found;
	v3_leave(v3, found && v3->reclaim_held);
}

static enum call_verdict
on_departed(void *arg, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	struct v3 *v3 = arg;
	enum call_verdict verdict;
	enum v3_verdict judged;
	unsigned serial = v3->depart.serial;
	int64_t count = 0;
	json_t *answer;

	/* Etcd without space refuses the mark, and still takes the revocation. */
	if (!v3_accept(v3, &v3->depart, true, status, body, len, &answer, &judged, &verdict, text) &&
	    judged != V3_REFUSED && judged != V3_NO_SPACE)
		return verdict;
	/* Refused before we wanted to leave: that is under way now, with a request of its own. */
	if (v3->depart.serial != serial)
		return CALL_DONE;
	/* Where the guard failed the key is gone already. */
	if (v3->mark && answer != NULL && v3_decode_mark(answer, &count) != NULL)
		count = 0;
	json_decref(answer);
	/* Marked or deleted, or the key was gone already. */
	if (v3->leaving && judged == V3_OK)
		lock_given(v3->lock);
	if (v3->mark)
		v3->mark = false;
	else
		v3->foreign = false;
	call_stop(&v3->depart);
	if (!v3->leaving)
		v3_join(v3);
	else if (count > 1)
		timer_arm(v3->lock->client->loop, &v3->step_aside, clock_now() + STEP_ASIDE);
	else
		v3_leave_next(v3);
	return CALL_DONE;
}

static enum call_verdict
on_revoked(void *arg, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	struct v3 *v3 = arg;
	enum v3_verdict judged;
	json_t *answer;

	judged = v3_judge(status, body, len, &answer, text);
	switch (judged) {
	case V3_TRANSIENT:
	case V3_LEASE_EXISTS:
		return CALL_RETRY;
	case V3_NOT_ETCD:
		return CALL_UNUSABLE;
	case V3_UNAUTHENTICATED:
		if (v3->lock->client->auth != NULL)
			return CALL_UNAUTHORIZED;
		break;
	case V3_NO_AUTH:
	case V3_OK:
	case V3_LEASE_GONE:
	case V3_REFUSED:
	case V3_NO_SPACE:
		break; /* one that etcd will not revoke ends by itself */
	}
	json_decref(answer);
	/* Our key has gone with the lease that it is on. */
	if (v3->leaving && v3->held != NULL && v3->held->id == v3->revoking &&
	    (judged == V3_OK || judged == V3_LEASE_GONE))
		lock_given(v3->lock);
	lease_close(lease_find(&v3->ledger, v3->revoking));
	call_stop(&v3->revoke);
	v3_revoke_next(v3);
	return CALL_DONE;
}

static void
on_stepped_aside(void *arg)
{
	v3_leave_next(arg);
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct v3 *v3 = arg;

	/* An old lease that will not go is no sign of danger for the lock. */
	if (v3->leaving)
		v3_trouble(v3, trouble);
}

void
v3_leave_init(struct v3 *v3)
{
	const struct call_owner depart = { .on_answer = on_departed, .on_trouble = on_trouble, .arg = v3 };
	const struct call_owner revoke = { .on_answer = on_revoked, .on_trouble = on_trouble, .arg = v3 };

	timer_init(&v3->step_aside, on_stepped_aside, v3);
	call_init(&v3->depart, v3->lock->client, &depart);
	call_init(&v3->revoke, v3->lock->client, &revoke);
}
