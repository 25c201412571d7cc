/* The v3 protocol: what the lock asks for becomes a goal, and advance() works towards it. */
#include "lock/v3/v3_struct.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sends what is wanted next. Nothing else is on the stack. */
static void
advance(void *arg)
{
	struct v3 *v3 = arg;

	if (v3->seen.entries != NULL && v3->goal == GOAL_RECLAIM) {
		v3_release_found(v3, v3_queue_own(v3));
		v3_queue_free(&v3->seen);
	} else if (v3->seen.entries != NULL && v3->goal != GOAL_NONE) {
		v3_watch_looked(v3);
		v3_queue_place(v3);
	}
	switch (v3->goal) {
	case GOAL_NONE:
		break;
	case GOAL_QUEUE:
	case GOAL_HOLD:
		if (v3->step != V3_STEP_JOIN || !v3->overwritten || !v3_release_clear(v3))
			v3_lease_advance(v3);
		v3_queue_advance(v3);
		v3_watch_advance(v3);
		v3_release_revoke(v3);
		break;
	case GOAL_RECLAIM:
		v3_queue_advance(v3);
		break;
	case GOAL_RELEASE:
		if (v3_lease_is_granting(v3))
			break;
		if (v3->step != V3_STEP_NONE)
			v3_lease_turn(v3, V3_STEP_NONE);
		v3_release_advance(v3);
		break;
	}
}

/* Turns to GOAL. What was under way for the last goal, but for the call LEASE, is dropped. */
static void
turn_to(struct v3 *v3, enum goal goal)
{
	v3->goal = goal;
	v3->generation = v3->contender->generation;
	call_stop(&v3->look);
	v3->look_wanted = false;
	v3_queue_free(&v3->seen);
	v3_release_stop(v3);
	v3_watch_stop(v3);
	cluster_stop_waiting(v3->session->cluster, &v3->clusters);
	v3_wake(v3);
}

/* --- what the lock asks for --- */

static void
v3_join(void *arg)
{
	struct v3 *v3 = arg;

	turn_to(v3, GOAL_QUEUE);
	v3->reported = false;
	v3_lease_turn(v3, V3_STEP_JOIN);
}

static void
v3_hold(void *arg)
{
	struct v3 *v3 = arg;

	/* Where the place is gone already, its report is the next. */
	if (v3->goal == GOAL_QUEUE)
		v3->goal = GOAL_HOLD;
}

static void
v3_look(void *arg)
{
	v3_want_look(arg);
}

static void
v3_follow(void *arg)
{
	struct v3 *v3 = arg;

	v3->watch.asked_for = true;
	v3_wake(v3);
}

static void
v3_renew(void *arg, bool firm)
{
	v3_lease_renew(arg, firm);
}

static void
v3_release(void *arg, bool held)
{
	struct v3 *v3 = arg;

	turn_to(v3, GOAL_RELEASE);
	/* A waiter has run nothing, yet it does not announce its leaving: the next one must not take its going for
	 * the word of a holder that has vanished before it. */
	v3->mark = held && v3->create_revision != 0;
	/* A grant that is out might come after its revocation: have its answer first. */
	if (!v3_lease_is_granting(v3) || !call_in_flight(&v3->lease))
		v3_lease_turn(v3, V3_STEP_NONE);
}

static int
v3_reclaim(void *arg, const char *owner_key, int64_t create_revision, bool held)
{
	struct v3 *v3 = arg;
	const struct contender *contender = v3->contender;
	size_t len = strlen(contender->key);
	uint64_t lease;

	/* KEY/<the lease that the key was born with>; by now it is on another one, which the look will tell. */
	if (strncmp(owner_key, contender->key, len) != 0 || sscanf(owner_key + len, "/%" SCNx64, &lease) != 1 ||
	    create_revision <= 0) {
		errno = EINVAL;
		return -1;
	}
	v3_names_free(&v3->names);
	if (v3_names_init(&v3->names, contender->key, contender->id, (int64_t)lease) == -1)
		return -1;
	turn_to(v3, GOAL_RECLAIM);
	v3->reclaim_held = held;
	v3->create_revision = create_revision;
	v3_want_look(v3);
	return 0;
}

static void
v3_stop(void *arg)
{
	struct v3 *v3 = arg;

	turn_to(v3, GOAL_NONE);
	v3_lease_turn(v3, V3_STEP_NONE);
	task_cancel(v3->session->loop, &v3->advance);
}

/* --- set-up --- */

static void *
v3_new(const struct contender *contender)
{
	struct v3 *v3 = calloc(1, sizeof(*v3));

	if (v3 == NULL)
		return NULL;
	v3->contender = contender;
	v3->session = contender->session;
	v3->ahead = -1;
	task_init(&v3->advance, advance, v3);
	v3_store_init(v3);
	v3_lease_init(v3);
	v3_queue_init(v3);
	v3_release_init(v3);
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

const struct protocol protocol_v3 = {
	.new = v3_new,
	.free = v3_free,
	.join = v3_join,
	.hold = v3_hold,
	.look = v3_look,
	.follow = v3_follow,
	.renew = v3_renew,
	.release = v3_release,
	.reclaim = v3_reclaim,
	.txn = v3_txn_start,
	.stop = v3_stop,
	.owner_key = v3_owner_key,
	.create_revision = v3_create_revision,
};
