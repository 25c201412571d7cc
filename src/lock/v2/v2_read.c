/* The key, read through the quorum: whose it is, and what of it is ours. */
#include "lock/v2/v2_struct.h"

#include <stdlib.h>
#include <string.h>

void
v2_read_advance(struct v2 *v2)
{
	if (!v2->read_wanted || call_active(&v2->read) || (v2->read_behind && v2->step == V2_STEP_REFRESH))
		return;
	v2->read_wanted = v2->read_behind = false;
	v2->read.mark = v2->modified;
	if (call_request(&v2->read, "GET", v2_encode_read(v2->contender->key), false, v2_try_limit(v2)) == -1)
		v2_report(v2, (struct report){ .kind = REPORT_NO_MEMORY });
}

/* True where NODE is the key that we have created, or another process of our id in another store. */
static bool
is_of_us(const struct v2 *v2, const struct v2_node *node)
{
	return node->created == v2->created && strcmp(node->value, v2->contender->id) == 0;
}

/* True where NODE can be our key. A step in the chain that none of our tries can have made is somebody else's. */
static bool
is_ours(const struct v2 *v2, const struct v2_node *node)
{
	const bool leaving = v2->goal == GOAL_RELEASE || v2->goal == GOAL_RECLAIM;

	return is_of_us(v2, node) && (node->modified == v2->modified || (leaving ? v2->adopt : v2->ambiguous));
}

/* True where our key was read before our last change of it, and has come late. Read after that, it is of a store that
 * was restored. */
static bool
is_stale(const struct v2 *v2, const struct v2_node *node)
{
	return is_of_us(v2, node) && node->modified < v2->modified && node->modified >= v2->read.mark;
}

/* True where our key has made a step that a renewal of ours can have made whose answer is still to come: that tells. */
static bool
is_undecided(const struct v2 *v2, const struct v2_node *node)
{
	return v2->step == V2_STEP_REFRESH && call_in_flight(&v2->change) && is_of_us(v2, node) &&
	    node->modified > v2->modified;
}

static void
on_own_key(struct v2 *v2, const struct v2_node *node)
{
	v2->known = node->modified;
	if (v2->goal == GOAL_RELEASE || v2->goal == GOAL_RECLAIM) {
		v2->goal = GOAL_RELEASE;
		v2->adopt = false;
		v2->modified = node->modified;
		v2_want_end(v2);
	} else if (node->modified != v2->modified) {
		v2->modified = node->modified;
		v2->ambiguous = false;
		v2_report_renewed(v2, v2->first_sent);
	} else if (v2->due && v2->goal == GOAL_HOLD) {
		/* An earlier renewal can still be on its way, and would be ours: the change stays ambiguous. */
		v2->next = V2_STEP_REFRESH;
		v2->due = false;
	} else if (v2->past == 0) {
		v2_report_place(v2, NULL);
	}
}

/* We have a key, as far as we know. NODE: NULL, there is none. */
static void
on_own_read(struct v2 *v2, const struct v2_node *node)
{
	if (node != NULL && is_stale(v2, node))
		v2->read_wanted = true;
	else if (node != NULL && is_ours(v2, node))
		on_own_key(v2, node);
	else if (node != NULL && is_undecided(v2, node))
		v2->read_wanted = v2->read_behind = true;
	else if (v2->goal == GOAL_RELEASE || v2->goal == GOAL_RECLAIM)
		v2_report_released(v2);
	else
		v2_lost(v2, node);
}

static void
on_others_read(struct v2 *v2, const struct v2_node *node)
{
	v2->changed_hands = false;
	if (node == NULL) {
		v2_want_change(v2, V2_STEP_CREATE);
	} else if (node->directory) {
		v2->goal = GOAL_NONE;
		v2_report(
		    v2, (struct report){ .kind = REPORT_REFUSED, .text = strdup("the key is a directory in etcd") });
	} else {
		v2_report_place(v2, node->value);
	}
}

static enum call_verdict
on_answer(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct v2 *v2 = arg;
	const struct v2_node *node = verdict->kind == VERDICT_OK ? &verdict->v2.node : NULL;

	v2_wake(v2);
	if (v2->goal == GOAL_NONE)
		return CALL_DONE;
	if (verdict->kind != VERDICT_OK && verdict->kind != VERDICT_NO_KEY)
		return v2_other_answer(v2, verdict, text);
	if (v2->created != 0)
		on_own_read(v2, node);
	else if (v2->step == V2_STEP_NONE && v2->next == V2_STEP_NONE)
		on_others_read(v2, node);
	return CALL_DONE;
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	v2_trouble(arg, trouble);
}

void
v2_read_init(struct v2 *v2)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble, .arg = v2 };

	call_init(&v2->read, v2->session, &owner);
}
