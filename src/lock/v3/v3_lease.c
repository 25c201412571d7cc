/* A place in the queue, and the lease of the key in it.
 *
 * A firm renewal goes through raft: a new lease, and the key moved to it by a transaction guarded by the key's mod
 * revision. It can be repeated and can come late without harm: a transaction that has already worked fails its guard,
 * and reads that the key is on one of our leases. What a keepalive answers comes from a leader's memory instead, and
 * a leader that was frozen does not know that it is none any more. */
#include "lock/v3/v3_struct.h"

#include <stdio.h>

/* etcd's least TTL is one and a half election timeouts, of at most 50 s each (etcd's embed.Config). */
#define LONGEST_MINIMUM_S 75

/* A lease whose grant was sent longer ago is not worth moving to: take another one. */
static bool
is_worn(const struct v3 *v3)
{
	return v3->fresh != NULL && clock_elapsed(&v3->fresh->sent) > v3->fresh->ttl / 4;
}

static bool
is_joining(const struct v3 *v3)
{
	return v3->step == V3_STEP_JOIN_GRANT || v3->step == V3_STEP_JOIN_PUT;
}

static bool
is_renewing(const struct v3 *v3)
{
	return v3->step == V3_STEP_RENEW_GRANT || v3->step == V3_STEP_RENEW_MOVE;
}

bool
v3_lease_is_granting(const struct v3 *v3)
{
	return v3->step == V3_STEP_JOIN_GRANT || v3->step == V3_STEP_RENEW_GRANT;
}

/* What STEP was about is given up: a lease whose grant etcd has never heard of leaves nothing behind. */
void
v3_lease_turn(struct v3 *v3, enum v3_step step)
{
	if (v3_lease_is_granting(v3) && call_in_flight(&v3->lease))
		v3->fresh->exposed = true;
	else if (v3_lease_is_granting(v3) && v3->fresh != v3->held && !v3->fresh->exposed)
		lease_close(v3->fresh);
	call_stop(&v3->lease);
	v3->step = step;
	v3_wake(v3);
}

/* Have all leases that our key might be on kept alive. */
static void
keep_alive(struct v3 *v3)
{
	v3->keeping = v3->held;
	v3->step = V3_STEP_KEEPALIVE;
}

/* --- requests --- */

static bool
lease_call(struct v3 *v3, const char *path, char *body)
{
	if (v3_call(v3, &v3->lease, path, body) == 0)
		return true;
	v3->step = V3_STEP_NONE;
	return false;
}

/* Asks for a fresh lease. */
static bool
grant(struct v3 *v3, enum v3_step step)
{
	int64_t ttl_s = v3->contender->timing.ttl_s;
	struct lease *lease = lease_open(&v3->leases, v3->held, clock_moment(), ttl_s * NSEC_PER_SEC);

	if (lease == NULL) {
		v3->step = V3_STEP_NONE;
		v3_report(v3, (struct report){ .kind = REPORT_NO_MEMORY });
		return false;
	}
	v3->asked_s = ttl_s;
	v3->fresh = lease;
	v3->step = step;
	return lease_call(v3, "/v3/lease/grant", v3_encode_grant(v3->fresh->id, ttl_s));
}

/* Our key is sent to the lease FRESH: where that ends sooner, more cannot be counted on any more. */
static void
expose(struct v3 *v3)
{
	const struct lease_term term = lease_first_term(v3->fresh);

	v3->fresh->aimed = true;
	if (lease_left(&term) >= lease_left(&v3->kept))
		return;
	v3->kept = term;
	v3_report(v3, (struct report){ .kind = REPORT_EXPOSED, .place.term = term });
}

static void
begin_join(struct v3 *v3)
{
	lease_retire_all(&v3->leases);
	v3->held = NULL;
	v3->create_revision = v3->mod_revision = v3->seen_own = v3->seen_ahead = 0;
	v3->placed = 0;
	v3->ahead = -1;
	v3->first = v3->far = v3->crowded = v3->unsure = v3->bare = false;
	v3->page = 0;
	v3->full = v3->overwritten = v3->clusters_awaited = v3->reported = false;
	cluster_probe(v3->session->cluster, true);
	v3_names_free(&v3->names);
	if (!grant(v3, V3_STEP_JOIN_GRANT))
		return;
	if (v3_names_init(&v3->names, v3->contender->key, v3->contender->id, v3->fresh->id) == -1) {
		v3_lease_turn(v3, V3_STEP_NONE);
		v3_report(v3, (struct report){ .kind = REPORT_NO_MEMORY });
	}
}

void
v3_lease_advance(struct v3 *v3)
{
	/* A look has shown on which lease our key is. */
	if (v3->step == V3_STEP_KEEPALIVE && v3->keeping != v3->held && !v3->keeping->aimed) {
		v3_lease_turn(v3, V3_STEP_NONE);
		keep_alive(v3);
	}
	if (call_active(&v3->lease))
		return;
	switch (v3->step) {
	case V3_STEP_NONE:
	case V3_STEP_JOIN_GRANT:
	case V3_STEP_RENEW_GRANT:
		break;
	case V3_STEP_JOIN:
		begin_join(v3);
		break;
	case V3_STEP_JOIN_PUT:
		(void)lease_call(v3, "/v3/kv/txn", v3_encode_join(&v3->names, v3->fresh->id));
		break;
	case V3_STEP_RENEW:
		/* What could not be asked at the start. */
		cluster_probe(v3->session->cluster, false);
		(void)grant(v3, V3_STEP_RENEW_GRANT);
		break;
	case V3_STEP_RENEW_MOVE:
		expose(v3);
		(void)lease_call(v3, "/v3/kv/txn", v3_encode_move(&v3->names, v3->mod_revision, v3->fresh->id));
		break;
	case V3_STEP_KEEPALIVE:
		cluster_probe(v3->session->cluster, false);
		(void)lease_call(v3, "/v3/lease/keepalive", v3_encode_lease(v3->keeping->id));
		break;
	}
}

void
v3_lease_renew(struct v3 *v3, bool firm)
{
	char why[CALL_TEXT];

	if (v3->held == NULL || is_renewing(v3) || v3->step == V3_STEP_RENEW || is_joining(v3))
		return;
	if (v3->goal == GOAL_HOLD && cluster_is_split(v3->session->cluster, why, sizeof(why))) {
		v3_gone(v3, why);
		return;
	}
	/* A keepalive cannot change a lease's TTL. */
	if ((firm && v3->contender->renewal == RENEW_RAFT) || v3->asked_s != v3->contender->timing.ttl_s) {
		v3_lease_turn(v3, V3_STEP_RENEW);
		return;
	}
	v3_lease_turn(v3, V3_STEP_NONE);
	keep_alive(v3);
}

/* --- answers --- */

/* ANSWER is NULL where an earlier try has worked: the TTL is what we asked for, or more. */
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
			log_msg(&v3->session->log, LEVEL_DEBUG,
			    "etcd granted a TTL of %llds instead of %llds, which is what counts",
			    (long long)granted.ttl_s, (long long)v3->asked_s);
	}
	if (v3->step == V3_STEP_JOIN_GRANT)
		v3_report(v3, (struct report){ .kind = REPORT_GRANTED });
	v3->step = v3->step == V3_STEP_JOIN_GRANT ? V3_STEP_JOIN_PUT : V3_STEP_RENEW_MOVE;
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
	v3->kept = lease_first_term(v3->fresh);
	v3->step = V3_STEP_NONE;
	v3_queue_free(&v3->seen);
	v3->seen = queue;
	v3->shows = v3_decode_joined(answer) ? V3_LOOK_PAGE : V3_LOOK_OWN;
	return CALL_DONE;
}

/* Our key is on LEASE since MOD_REVISION. */
static void
on_renewed(struct v3 *v3, struct lease *lease, int64_t mod_revision)
{
	bool done = lease == v3->fresh;

	v3_settle(v3, lease, mod_revision);
	v3->full = false;
	/* An earlier transaction of ours came through after all: take its lease, and go on to the newer one. */
	if (!done)
		v3->step = V3_STEP_RENEW_MOVE;
	else /* the TTL might have been changed meanwhile */
		v3->step = v3->asked_s != v3->contender->timing.ttl_s ? V3_STEP_RENEW : V3_STEP_NONE;
	v3_report(v3, (struct report){ .kind = REPORT_RENEWED, .place.term = v3->kept });
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
		lease = v3_is_ours(v3, &move.kv) ? lease_find(&v3->leases, move.kv.lease) : NULL;
		/* Where a look has come first, it is on HELD. */
		if (lease == NULL || (lease == v3->held && move.kv.mod_revision != v3->mod_revision))
			v3_lost_key(v3, &move.kv);
		else
			on_renewed(v3, lease, move.kv.mod_revision);
	}
	v3_kv_free(&move.kv);
	return CALL_DONE;
}

static enum call_verdict
on_kept_alive(struct v3 *v3, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct lease_term term = { .sent = verdict->sent_at };
	int64_t ttl_s;
	const char *wrong = v3_decode_keepalive(verdict->answer, &ttl_s);

	if (wrong != NULL)
		return v3_senseless(wrong, text);
	if (ttl_s == 0) {
		/* Its key tells whether that is so: a member might be behind the others. */
		v3_want_look(v3);
		snprintf(text, CALL_TEXT, "the lease is gone, says a keepalive's answer");
		return CALL_RETRY;
	}
	/* A leader that was frozen answers from what it remembers. */
	if (clock_elapsed(&term.sent) > NSEC_PER_SEC) {
		snprintf(text, CALL_TEXT, "a keepalive's answer came too late to be believed");
		return CALL_RETRY;
	}
	term.ttl = ttl_s * NSEC_PER_SEC;
	if (term.ttl > v3->keeping->ttl)
		return v3_senseless("a keepalive has made the lease longer than it was granted", text);
	if (v3->keeping == v3->held || lease_left(&term) < lease_left(&v3->keeps))
		v3->keeps = term;
	v3->keeping = lease_next_aimed(&v3->leases, v3->keeping == v3->held ? NULL : v3->keeping);
	if (v3->keeping != NULL)
		return CALL_DONE;
	v3->kept = v3->keeps;
	v3->step = V3_STEP_NONE;
	/* Sent as a waiter, answered to a holder, who lives on first TTLs. */
	if (v3->goal != GOAL_HOLD || v3_on_keepalives(v3))
		v3_report(v3, (struct report){ .kind = REPORT_RENEWED, .place.term = v3->kept });
	return CALL_DONE;
}

/* The lease that the step builds upon does not exist (any more): begin with another one. */
static enum call_verdict
on_lease_gone(struct v3 *v3, char text[CALL_TEXT])
{
	if (v3->step == V3_STEP_JOIN_PUT) {
		v3->step = V3_STEP_JOIN;
		return CALL_DONE;
	}
	if (v3->step == V3_STEP_RENEW_MOVE) {
		lease_close(v3->fresh);
		v3->step = V3_STEP_RENEW;
		return CALL_DONE;
	}
	return v3_senseless("no such lease", text);
}

/* Etcd is full, and somebody has to make room; meanwhile our lease lives on as those of other clients do. The next
 * renewal tries the firm way again. A move whose answer was lost might have taken our key to its lease, which is kept
 * alive, too. */
static enum call_verdict
on_no_space(struct v3 *v3)
{
	v3->asked_s = 0; /* nothing was changed */
	if (!v3->full)
		log_msg(&v3->session->log, LEVEL_NOTICE,
		    "etcd is out of space: renewing by keepalives until there is some");
	v3->full = true;
	keep_alive(v3);
	return CALL_DONE;
}

static enum call_verdict
on_step_done(struct v3 *v3, const struct verdict *verdict, char text[CALL_TEXT])
{
	switch (v3->step) {
	case V3_STEP_JOIN_GRANT:
	case V3_STEP_RENEW_GRANT:
		return on_granted(v3, verdict->answer, text);
	case V3_STEP_JOIN_PUT:
		return on_key_put(v3, verdict->answer, text);
	case V3_STEP_RENEW_MOVE:
		return on_key_moved(v3, verdict->answer, text);
	case V3_STEP_KEEPALIVE:
		return on_kept_alive(v3, verdict, text);
	case V3_STEP_NONE:
	case V3_STEP_JOIN:
	case V3_STEP_RENEW:
		break;
	}
	return CALL_DONE;
}

static enum call_verdict
on_answer(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct v3 *v3 = arg;
	enum call_verdict next;

	v3_wake(v3);
	if (v3_lease_is_granting(v3))
		v3->fresh->exposed = true;
	if (v3->goal == GOAL_NONE)
		return CALL_DONE;
	if (verdict->kind == VERDICT_LEASE_EXISTS && v3_lease_is_granting(v3))
		return on_granted(v3, NULL, text);
	if (verdict->kind == VERDICT_LEASE_GONE)
		return on_lease_gone(v3, text);
	if (verdict->kind == VERDICT_NO_SPACE && v3->goal != GOAL_RELEASE && is_renewing(v3))
		return on_no_space(v3);
	if (!v3_accept(v3, &v3->lease, v3->step != V3_STEP_KEEPALIVE, verdict, &next, text))
		return next;
	return on_step_done(v3, verdict, text);
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct v3 *v3 = arg;

	if (v3_lease_is_granting(v3) && trouble->sent)
		v3->fresh->exposed = true;
	if (v3->goal == GOAL_RELEASE) {
		v3_lease_turn(v3, V3_STEP_NONE);
		return;
	}
	if (is_worn(v3) && is_joining(v3))
		v3_lease_turn(v3, V3_STEP_JOIN);
	else if (is_worn(v3) && is_renewing(v3))
		v3_lease_turn(v3, V3_STEP_RENEW);
	v3_trouble(v3, trouble);
}

void
v3_lease_init(struct v3 *v3)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble, .arg = v3 };

	call_init(&v3->lease, v3->session, &owner);
}
