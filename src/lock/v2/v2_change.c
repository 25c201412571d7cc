/* Our key: created, given another TTL, deleted. */
#include "lock/v2/v2_struct.h"

/* The longest that the answer to a creation is waited for: an etcd that is frozen does not answer at all. */
#define CREATION_LIMIT (10 * NSEC_PER_SEC)

/* A creation that is given up and works all the same is nobody's, and in everybody's way for a TTL: its answer is
 * waited for as long as enough of the lease would be left. */
static nsec
creation_limit(const struct v2 *v2)
{
	nsec limit = v2_lock_ttl(v2) / 3;

	if (limit > CREATION_LIMIT)
		limit = CREATION_LIMIT;
	return limit > v2_try_limit(v2) ? limit : v2_try_limit(v2);
}

void
v2_change_stop(struct v2 *v2)
{
	call_stop(&v2->change);
	v2->step = v2->next = V2_STEP_NONE;
}

static int
send_change(struct v2 *v2)
{
	const struct contender *contender = v2->contender;
	const int64_t ttl_s = contender->timing.ttl_s;

	switch (v2->step) {
	case V2_STEP_CREATE:
		v2->change.mark = v2->known;
		call_limit_connect(&v2->change, v2_try_limit(v2));
		/* Who has been following the key reads of lost answers in its events; who has just come has none. */
		return call_request(&v2->change, "PUT", v2_encode_create(contender->key, contender->id, ttl_s),
		    v2->known == 0, creation_limit(v2));
	case V2_STEP_REFRESH:
		/* Of a renewal it matters whether a step in the chain might be ours: libcurl repeats none. */
		return call_request(&v2->change, "PUT",
		    v2_encode_refresh(contender->key, contender->id, v2->modified, ttl_s), true, v2_try_limit(v2));
	case V2_STEP_DELETE:
		return call_request(&v2->change, "DELETE",
		    v2_encode_delete(contender->key, contender->id, v2->modified), false, v2_try_limit(v2));
	case V2_STEP_EXPIRE:
		return call_request(&v2->change, "PUT",
		    v2_encode_refresh(contender->key, contender->id, v2->modified, 1), true, v2_try_limit(v2));
	case V2_STEP_NONE:
		break;
	}
	return 0;
}

/* A renewal is out: where its TTL ends sooner, more than that cannot be counted on any more. */
static void
expose(struct v2 *v2)
{
	struct lease_term term = { .sent = v2->first_sent, .ttl = v2->ttl };

	if (lease_left(&term) >= lease_left(&v2->term))
		return;
	v2->term = term;
	v2_report(v2, (struct report){ .kind = REPORT_EXPOSED, .place.term = term });
}

/* What is asked for with the next change. One that is ambiguous might still come to what its first try asked for. */
static void
note_asked(struct v2 *v2)
{
	const nsec ttl = v2_lock_ttl(v2);

	if (v2->step == V2_STEP_REFRESH && v2->ambiguous) {
		v2->ttl = ttl < v2->ttl ? ttl : v2->ttl;
		return;
	}
	v2->first_sent = clock_moment();
	v2->ttl = ttl;
}

void
v2_change_advance(struct v2 *v2)
{
	if (v2->step != V2_STEP_NONE || v2->next == V2_STEP_NONE)
		return;
	v2->step = v2->next;
	v2->next = V2_STEP_NONE;
	note_asked(v2);
	if (send_change(v2) == -1) {
		v2->step = V2_STEP_NONE;
		v2_report(v2, (struct report){ .kind = REPORT_NO_MEMORY });
	} else if (v2->step == V2_STEP_REFRESH) {
		expose(v2);
	}
}

static void
on_created(struct v2 *v2, const struct verdict *verdict, bool ambiguous)
{
	const struct v2_node *node = &verdict->v2.node;

	const int64_t known = v2->known;

	v2->ambiguous = false;
	v2->created = node->created;
	v2->modified = v2->known = node->modified;
	v2->created_at = clock_now();
	v2->term = (struct lease_term){ .sent = verdict->sent_at, .ttl = v2->ttl };
	/* What was read before, or is polled for, is about somebody else's. */
	call_stop(&v2->read);
	v2->read_wanted = v2->following = v2->poll_wanted = false;
	if (v2->goal == GOAL_RELEASE) {
		v2_want_end(v2);
		return;
	}
	/* Who has just come knows of nobody, but of an answer that was lost: it can have been that there is one. And of
	 * who was there in a store that was restored since nobody knows any more. */
	if (known == 0 ? ambiguous : node->modified <= known)
		v2->vanished = v2->created_at;
	if (known != 0 && node->modified > known + 1)
		v2->past = known;
	else
		v2_report_place(v2, NULL);
}

/* Somebody else has the key, in a store that is at INDEX. From the first that we know of on, its events are followed
 * one by one; but those of a store that was restored begin anew. */
static void
note_index(struct v2 *v2, int64_t index)
{
	if (v2->known != 0 && index >= v2->change.mark)
		return;
	if (v2->known != 0)
		v2->vanished = clock_now();
	v2->known = index;
	v2->poll_wanted = v2->following;
}

/* The change cannot be made as the key is now. STEP is what was to be made; AMBIGUOUS: one of its tries might have
 * worked unseen. */
static void
on_impossible(struct v2 *v2, enum v2_step step, bool ambiguous, const struct verdict *verdict)
{
	v2->ambiguous = ambiguous;
	if (step == V2_STEP_CREATE && v2->goal == GOAL_RELEASE) {
		v2_report_released(v2);
	} else if (step == V2_STEP_CREATE) {
		note_index(v2, verdict->v2.index);
		/* All that waited have tried, and one has got it: to ask who would double what a hand-over costs.
		 * Unless it might be a creation of our own, whose answer was lost. */
		if (!v2->reported || ambiguous)
			v2_want_read(v2);
		else if (v2->changed_hands)
			v2_report_place(v2, "another one");
		else
			v2_report_place(v2, v2->holder == NULL ? "" : v2->holder);
	} else if (verdict->kind == VERDICT_MISMATCH) {
		/* A try of ours whose answer was lost might have moved the index. */
		v2->due = v2->goal != GOAL_RELEASE;
		v2->adopt = v2->adopt || (step == V2_STEP_EXPIRE && ambiguous);
		v2->read_wanted = true;
	} else if (v2->goal == GOAL_RELEASE) {
		v2_report_released(v2);
	} else {
		v2_lost(v2, NULL);
	}
}

static void
on_changed(struct v2 *v2, enum v2_step step, bool ambiguous, const struct verdict *verdict)
{
	switch (step) {
	case V2_STEP_CREATE:
		on_created(v2, verdict, ambiguous);
		break;
	case V2_STEP_REFRESH:
		v2->modified = v2->known = verdict->v2.node.modified;
		v2_report_renewed(v2, verdict->sent_at);
		break;
	case V2_STEP_DELETE:
	case V2_STEP_EXPIRE:
		v2_report_released(v2);
		break;
	case V2_STEP_NONE:
		break;
	}
}

static enum call_verdict
on_answer(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct v2 *v2 = arg;
	const enum v2_step step = v2->step;
	const bool ambiguous = v2->ambiguous || call_in_flight(&v2->change);
	enum call_verdict next = CALL_DONE;

	v2_wake(v2);
	if (v2->goal != GOAL_NONE && verdict->kind != VERDICT_OK && verdict->kind != VERDICT_KEY_EXISTS &&
	    verdict->kind != VERDICT_MISMATCH && verdict->kind != VERDICT_NO_KEY)
		next = v2_other_answer(v2, verdict, text);
	if (next == CALL_RETRY)
		return next;
	/* The call ends with this answer. */
	v2->step = V2_STEP_NONE;
	if (v2->goal == GOAL_NONE)
		return CALL_DONE;
	if (verdict->kind == VERDICT_OK)
		on_changed(v2, step, ambiguous, verdict);
	else
		on_impossible(v2, step, ambiguous, verdict);
	return CALL_DONE;
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct v2 *v2 = arg;

	v2->ambiguous = v2->ambiguous || trouble->sent;
	/* Nothing can have come of a creation that was never sent. */
	if (v2->goal == GOAL_RELEASE && v2->step == V2_STEP_CREATE && !v2->ambiguous) {
		v2_change_stop(v2);
		v2_report_released(v2);
		return;
	}
	v2_trouble(v2, trouble);
}

void
v2_change_init(struct v2 *v2)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble, .arg = v2 };

	call_init(&v2->change, v2->session, &owner);
}
