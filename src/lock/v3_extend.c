/* A place in the queue, and the lease of the key in it.
 *
 * A firm renewal goes through raft: a new lease, and the key moved to it by a transaction guarded by the key's mod
 * revision. It can be repeated and can come late without harm: a transaction that has already worked fails its guard,
 * and reads that the key is on one of our leases. What a keepalive answers comes from a leader's memory instead, and
 * a leader that was frozen does not know that it is none any more. */
#include "lock/v3.h"

#include <stdio.h>

/* etcd's least TTL is one and a half election timeouts, of at most 50 s each (etcd's embed.Config). */
#define LONGEST_MINIMUM_S 75

/* A lease whose grant was sent longer ago is not worth moving to: take another one. */
static bool
is_worn(const struct v3 *v3)
{
	return v3->fresh != NULL && clock_elapsed(&v3->fresh->sent) > v3->fresh->ttl / 4;
}

static struct lease_term
term_of(const struct lease *lease)
{
	return (struct lease_term){ .sent = lease->sent, .ttl = lease->ttl };
}

static void
extend_start(struct v3 *v3, enum v3_stage stage, const char *path, char *body)
{
	v3->stage = stage;
	if (v3_call(v3, &v3->extend, path, body) == -1) {
		v3->stage = V3_STAGE_NONE;
		lock_stumbled(v3->lock);
	}
}

static bool
is_granting(const struct v3 *v3)
{
	return v3->stage == V3_STAGE_JOIN_GRANT || v3->stage == V3_STAGE_RENEW_GRANT;
}

void
v3_extend_stop(struct v3 *v3)
{
	if (is_granting(v3) && call_in_flight(&v3->extend))
		v3->fresh->exposed = true;
	call_stop(&v3->extend);
	v3->stage = V3_STAGE_NONE;
}

/* Asks for a fresh lease. */
static void
grant(struct v3 *v3, enum v3_stage stage)
{
	int64_t ttl_s = v3->lock->timing.ttl_s;

	/* One that etcd has never heard of leaves nothing to give up. */
	if (is_granting(v3) && v3->fresh != v3->held && !v3->fresh->exposed && !call_in_flight(&v3->extend))
		lease_close(v3->fresh);
	v3_extend_stop(v3);
	v3->asked_s = ttl_s;
	v3->fresh = lease_open(&v3->ledger, v3->held, clock_moment(), ttl_s * NSEC_PER_SEC);
	extend_start(v3, stage, "/v3/lease/grant", v3_encode_grant(v3->fresh->id, ttl_s));
}

void
v3_join(void *arg)
{
	struct v3 *v3 = arg;
	struct etcdlock *lock = v3->lock;

	v3_extend_stop(v3);
	/* Written by somebody else, our old key is on no lease, and would stand in everybody's way for good. */
	if (v3->foreign && v3_delete_own(v3))
		return;
	lease_retire_all(&v3->ledger);
	v3_revoke_next(v3);
	v3->held = NULL;
	v3->create_revision = v3->mod_revision = v3->seen_own = v3->seen_ahead = 0;
	v3->placed = 0;
	v3->full = v3->foreign = v3->clusters_awaited = false;
	cluster_probe(lock->client->cluster, true);
	v3_names_free(&v3->names);
	grant(v3, V3_STAGE_JOIN_GRANT);
	if (v3->stage != V3_STAGE_JOIN_GRANT)
		return;
	if (v3_names_init(&v3->names, lock->key, lock->id, v3->fresh->id) == -1) {
		v3_extend_stop(v3);
		lock_stumbled(lock);
	}
}

static void
put_key(struct v3 *v3)
{
	lock_granted(v3->lock);
	extend_start(v3, V3_STAGE_JOIN_PUT, "/v3/kv/txn", v3_encode_join(&v3->names, v3->fresh->id));
}

static void
move_key(struct v3 *v3)
{
	extend_start(
	    v3, V3_STAGE_RENEW_MOVE, "/v3/kv/txn", v3_encode_move(&v3->names, v3->mod_revision, v3->fresh->id));
}

void
v3_renew(void *arg, bool firm)
{
	struct v3 *v3 = arg;
	char why[CALL_TEXT];

	if (v3->stage == V3_STAGE_RENEW_GRANT || v3->stage == V3_STAGE_RENEW_MOVE)
		return;
	if (v3->held == NULL || v3->stage == V3_STAGE_JOIN_GRANT || v3->stage == V3_STAGE_JOIN_PUT)
		return;
	/* What could not be asked at the start. */
	cluster_probe(v3->lock->client->cluster, false);
	if (lock_owned(v3->lock) && cluster_is_split(v3->lock->client->cluster, why, sizeof(why))) {
		lock_gone(v3->lock, why);
		return;
	}
	/* A keepalive cannot change a lease's TTL. */
	if ((firm && v3->lock->renewal == RENEW_RAFT) || v3->asked_s != v3->lock->timing.ttl_s)
		grant(v3, V3_STAGE_RENEW_GRANT);
	else
		extend_start(v3, V3_STAGE_KEEPALIVE, "/v3/lease/keepalive", v3_encode_lease(v3->held->id));
}

static enum call_verdict
on_granted(struct v3 *v3, const json_t *answer, char text[CALL_TEXT])
{
	struct v3_grant granted = { 0 };
	const char *wrong;

	if (answer != NULL) {
		wrong = v3_decode_grant(answer, &granted);
		if (wrong == NULL && granted.lease != v3->fresh->id)
			wrong = "the lease granted is not the one asked for";
		if (wrong == NULL && granted.ttl_s > v3->asked_s && granted.ttl_s > LONGEST_MINIMUM_S)
			wrong =
			    "the TTL granted is longer than the one asked for, and than any that etcd has as its least";
		if (wrong != NULL)
			return v3_senseless(wrong, text);
		v3->fresh->ttl = granted.ttl_s * NSEC_PER_SEC;
		if (granted.ttl_s != v3->asked_s)
			log_msg(&v3->lock->client->log, LEVEL_DEBUG,
			    "etcd granted a TTL of %llds instead of %llds, which is what counts",
			    (long long)granted.ttl_s, (long long)v3->asked_s);
	}
	if (v3->leaving)
		v3_leave_next(v3);
	else if (v3->stage == V3_STAGE_JOIN_GRANT)
		put_key(v3);
	else
		move_key(v3);
	return CALL_DONE;
}

static enum call_verdict
on_key_put(struct v3 *v3, const json_t *answer, char text[CALL_TEXT])
{
	struct v3_queue queue;
	const char *wrong = v3_decode_queue(answer, &v3->names, true, &queue);

	if (wrong != NULL)
		return v3_senseless(wrong, text);
	v3->held = v3->fresh;
	v3->kept = term_of(v3->fresh);
	v3->stage = V3_STAGE_NONE;
	v3_place(v3, &queue);
	v3_queue_free(&queue);
	return CALL_DONE;
}

/* Our key is on LEASE since MOD_REVISION. */
static void
on_renewed(struct v3 *v3, struct lease *lease, int64_t mod_revision)
{
	struct lease_term term = term_of(lease);
	bool done = lease == v3->fresh;

	v3->held = lease;
	v3->mod_revision = mod_revision;
	v3->kept = term;
	v3->full = false;
	lease_retire_older(&v3->ledger, lease);
	v3->stage = V3_STAGE_NONE;
	/* An earlier transaction of ours came through after all: take its lease, and go on to the newer one. */
	if (!done)
		move_key(v3);
	else if (v3->asked_s != v3->lock->timing.ttl_s)
		grant(v3, V3_STAGE_RENEW_GRANT); /* the TTL was changed meanwhile */
	v3_revoke_next(v3);
	lock_renewed(v3->lock, &term);
}

static enum call_verdict
on_key_moved(struct v3 *v3, const json_t *answer, char text[CALL_TEXT])
{
	struct v3_move move;
	struct lease *lease = v3->fresh;
	const char *wrong = v3_decode_move(answer, &move);

	if (wrong != NULL)
		return v3_senseless(wrong, text);
	if (move.succeeded) {
		on_renewed(v3, lease, move.revision);
	} else if (move.kv.key == NULL) {
		v3_lost_key(v3, NULL);
	} else {
		lease = v3_is_ours(v3, &move.kv) ? lease_find(&v3->ledger, move.kv.lease) : NULL;
		if (lease == NULL || lease == v3->held)
			v3_lost_key(v3, &move.kv);
		else
			on_renewed(v3, lease, move.kv.mod_revision);
	}
	v3_kv_free(&move.kv);
	return CALL_DONE;
}

static enum call_verdict
on_kept_alive(struct v3 *v3, const json_t *answer, char text[CALL_TEXT])
{
	struct lease_term term = { .sent = v3->extend.sent };
	int64_t ttl_s;
	const char *wrong = v3_decode_keepalive(answer, &ttl_s);

	if (wrong != NULL)
		return v3_senseless(wrong, text);
	if (ttl_s == 0) {
		/* Its key tells whether that is so: a member may be behind the others. */
		v3_look(v3);
		snprintf(text, CALL_TEXT, "the lease is gone, says a keepalive's answer");
		return CALL_RETRY;
	}
	/* A leader that was frozen answers from what it remembers. */
	if (clock_elapsed(&term.sent) > NSEC_PER_SEC) {
		snprintf(text, CALL_TEXT, "a keepalive's answer came too late to be believed");
		return CALL_RETRY;
	}
	term.ttl = ttl_s * NSEC_PER_SEC;
	if (term.ttl > v3->held->ttl)
		return v3_senseless("a keepalive has made the lease longer than it was granted", text);
	v3->kept = term;
	v3->stage = V3_STAGE_NONE;
	/* Sent as a waiter, answered to a holder, who lives on first TTLs. */
	if (lock_owned(v3->lock) && !v3_on_keepalives(v3))
		return CALL_DONE;
	lock_renewed(v3->lock, &term);
	return CALL_DONE;
}

/* The lease that the stage builds upon does not exist (any more): begin the stage again with another one. */
static enum call_verdict
on_lease_gone(struct v3 *v3, char text[CALL_TEXT])
{
	switch (v3->stage) {
	case V3_STAGE_JOIN_PUT:
		v3_join(v3);
		return CALL_DONE;
	case V3_STAGE_RENEW_MOVE:
		lease_close(v3->fresh);
		grant(v3, V3_STAGE_RENEW_GRANT);
		return CALL_DONE;
	case V3_STAGE_NONE:
	case V3_STAGE_JOIN_GRANT:
	case V3_STAGE_RENEW_GRANT:
	case V3_STAGE_KEEPALIVE:
		break;
	}
	return v3_senseless("no such lease", text);
}

/* Etcd is full, and somebody has to make room; meanwhile our lease lives on as those of other clients do. The next
 * renewal tries the firm way again. */
static enum call_verdict
on_no_space(struct v3 *v3)
{
	v3->asked_s = 0; /* nothing was changed */
	if (!v3->full)
		log_msg(&v3->lock->client->log, LEVEL_NOTICE,
		    "etcd is out of space: renewing by keepalives until there is some");
	v3->full = true;
	v3_extend_stop(v3);
	extend_start(v3, V3_STAGE_KEEPALIVE, "/v3/lease/keepalive", v3_encode_lease(v3->held->id));
	return CALL_DONE;
}

static enum call_verdict
on_answer(void *arg, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	struct v3 *v3 = arg;
	enum call_verdict verdict;
	enum v3_verdict judged;
	json_t *answer;

	if (is_granting(v3))
		v3->fresh->exposed = true;
	if (!v3_accept(v3, &v3->extend, v3->stage != V3_STAGE_KEEPALIVE, status, body, len, &answer, &judged, &verdict,
		text)) {
		if (judged == V3_LEASE_EXISTS && is_granting(v3))
			return on_granted(
			    v3, NULL, text); /* an earlier try has worked: the TTL is what we asked for, or more */
		if (judged == V3_NO_SPACE && !v3->leaving &&
		    (v3->stage == V3_STAGE_RENEW_GRANT || v3->stage == V3_STAGE_RENEW_MOVE))
			return on_no_space(v3);
		/* Refused, and so leaving: no other try is to be waited for, for this call ends here. */
		if (verdict == CALL_DONE && v3->leaving && is_granting(v3)) {
			v3_extend_stop(v3);
			v3_leave_next(v3);
		}
		return judged == V3_LEASE_GONE ? on_lease_gone(v3, text) : verdict;
	}
	switch (v3->stage) {
	case V3_STAGE_JOIN_GRANT:
	case V3_STAGE_RENEW_GRANT:
		verdict = on_granted(v3, answer, text);
		break;
	case V3_STAGE_JOIN_PUT:
		verdict = on_key_put(v3, answer, text);
		break;
	case V3_STAGE_RENEW_MOVE:
		verdict = on_key_moved(v3, answer, text);
		break;
	case V3_STAGE_KEEPALIVE:
		verdict = on_kept_alive(v3, answer, text);
		break;
	case V3_STAGE_NONE:
		verdict = CALL_DONE;
		break;
	}
	json_decref(answer);
	return verdict;
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct v3 *v3 = arg;
	enum v3_stage stage = v3->stage;

	if (is_granting(v3) && trouble->sent)
		v3->fresh->exposed = true;
	if (v3->leaving) {
		v3_extend_stop(v3);
		v3_leave_next(v3);
		return;
	}
	if (is_worn(v3) && (stage == V3_STAGE_JOIN_GRANT || stage == V3_STAGE_JOIN_PUT))
		v3_join(v3);
	else if (is_worn(v3) && (stage == V3_STAGE_RENEW_GRANT || stage == V3_STAGE_RENEW_MOVE))
		grant(v3, V3_STAGE_RENEW_GRANT);
	v3_trouble(v3, trouble);
}

void
v3_extend_init(struct v3 *v3)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble, .arg = v3 };

	call_init(&v3->extend, v3->lock->client, &owner);
}
