/* Giving up what we have in etcd. Nothing is given up by waiting: what might have been created is revoked. */
#include "lock/v3/v3_struct.h"

/* The next holder looks at the queue first: our revocation, a write, must not come between. */
#define STEP_ASIDE (5 * NSEC_PER_MSEC)

void
v3_release_stop(struct v3 *v3)
{
	call_stop(&v3->depart);
	call_stop(&v3->revoke);
	v3->parting = V3_PARTING_NONE;
	timer_disarm(v3->session->loop, &v3->step_aside);
}

void
v3_release_revoke(struct v3 *v3)
{
	struct lease *lease = lease_next_retired(&v3->leases);

	if (lease == NULL || call_active(&v3->revoke))
		return;
	v3->revoking = lease->id;
	(void)v3_call(v3, &v3->revoke, "/v3/kv/lease/revoke", v3_encode_lease(lease->id));
}

/* False when memory is short. */
static bool
part(struct v3 *v3, enum v3_parting parting)
{
	char *body = parting == V3_PARTING_MARK ? v3_encode_mark(&v3->names, v3->create_revision, !v3->crowded)
						: v3_encode_delete(&v3->names, v3->create_revision);

	v3->depart.mark = v3->revision;
	v3->parting = V3_PARTING_NONE;
	/* Not reported: without it the way goes on, and what is left ends with its lease. */
	if (call_start(&v3->depart, "/v3/kv/txn", body, v3_try_limit(v3)) == 0)
		v3->parting = parting;
	return v3->parting != V3_PARTING_NONE;
}

bool
v3_release_clear(struct v3 *v3)
{
	return call_active(&v3->depart) || part(v3, V3_PARTING_DELETE);
}

/* Every lease that may exist is revoked, and its keys are gone with it. */
static void
report_released(struct v3 *v3)
{
	v3->goal = GOAL_NONE;
	v3->held = NULL;
	v3->create_revision = 0;
	v3_names_free(&v3->names);
	v3_report(v3, (struct report){ .kind = REPORT_RELEASED });
}

void
v3_release_advance(struct v3 *v3)
{
	if (call_active(&v3->depart) || timer_armed(&v3->step_aside))
		return;
	if (v3->mark && part(v3, V3_PARTING_MARK))
		return;
	if (v3->overwritten && part(v3, V3_PARTING_DELETE))
		return;
	lease_retire_all(&v3->leases);
	if (lease_next_retired(&v3->leases) == NULL)
		report_released(v3);
	else
		v3_release_revoke(v3);
}

void
v3_release_found(struct v3 *v3, const struct v3_kv *kv)
{
	bool found = kv != NULL && kv->create_revision == v3->create_revision;
	struct lease *lease =
	    found && kv->lease != 0 ? lease_open(&v3->leases, NULL, (struct moment){ 0, 0 }, 0) : NULL;

	v3->goal = GOAL_RELEASE;
	if (lease != NULL)
		*lease = (struct lease){ .id = kv->lease, .exposed = true };
	/* A move that the dead process had sent might still come, and its lease we do not know: delete the key itself.
	 */
	v3->overwritten = found;
	v3->mark = found && v3->reclaim_held;
}

static enum call_verdict
on_departed(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct v3 *v3 = arg;
	const bool leaving = v3->goal == GOAL_RELEASE, marking = v3->parting == V3_PARTING_MARK;
	enum call_verdict next;
	int64_t count = 0;

	v3_wake(v3);
	if (v3->goal == GOAL_NONE)
		return CALL_DONE;
	/* Etcd without space refuses the mark, and still takes the revocation. */
	if ((!leaving || (verdict->kind != VERDICT_REFUSED && verdict->kind != VERDICT_NO_SPACE)) &&
	    !v3_accept(v3, &v3->depart, true, verdict, &next, text))
		return next;
	/* Where the guard failed the key is gone already. */
	if (marking && verdict->answer != NULL && v3_decode_mark(verdict->answer, &count) != NULL)
		count = 0;
	/* Marked or deleted, or the key was gone already. */
	if (leaving && verdict->kind == VERDICT_OK)
		v3_report(v3, (struct report){ .kind = REPORT_GIVEN });
	if (marking)
		v3->mark = false;
	else
		v3->overwritten = false;
	v3->parting = V3_PARTING_NONE;
	/* Where so many waited with us, some do behind us. */
	if (leaving && (count > 1 || (marking && v3->crowded)))
		timer_arm(v3->session->loop, &v3->step_aside, clock_now() + STEP_ASIDE);
	return CALL_DONE;
}

/* Whatever etcd answers, the lease is forgotten: a lease that etcd does not revoke ends by itself. */
static enum call_verdict
on_revoked(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct v3 *v3 = arg;

	(void)text;
	if (verdict->kind == VERDICT_LEASE_EXISTS)
		return CALL_RETRY;
	/* Our key has gone with the lease that it is on. */
	if (v3->goal == GOAL_RELEASE && v3->held != NULL && v3->held->id == v3->revoking &&
	    (verdict->kind == VERDICT_OK || verdict->kind == VERDICT_LEASE_GONE))
		v3_report(v3, (struct report){ .kind = REPORT_GIVEN });
	lease_close(lease_find(&v3->leases, v3->revoking));
	v3_wake(v3);
	return CALL_DONE;
}

static void
on_stepped_aside(void *arg)
{
	v3_wake(arg);
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct v3 *v3 = arg;

	/* An old lease that will not go is no sign of danger for the lock. */
	if (v3->goal == GOAL_RELEASE)
		v3_trouble(v3, trouble);
}

void
v3_release_init(struct v3 *v3)
{
	const struct call_owner depart = { .on_answer = on_departed, .on_trouble = on_trouble, .arg = v3 };
	const struct call_owner revoke = { .on_answer = on_revoked, .on_trouble = on_trouble, .arg = v3 };

	timer_init(&v3->step_aside, on_stepped_aside, v3);
	call_init(&v3->depart, v3->session, &depart);
	call_init(&v3->revoke, v3->session, &revoke);
}
