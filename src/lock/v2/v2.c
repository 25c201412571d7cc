/* The v2 protocol: the lock of etcd-lock 1.x. The key is the lock's, its value the holder's id; whoever creates it has
 * the lock, and the others wait for it to go. There is no queue: all that wait try when it has gone.
 *
 * What is ours is told by the chain of indexes: we created the key at CREATED, and last changed it at MODIFIED. Its
 * value tells nothing, for another process might have the same id. So a creation whose answer was lost is not claimed:
 * it ends by itself. */
#include "lock/v2/v2_struct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Sends what is wanted next. Nothing else is on the stack. */
static void
advance(void *arg)
{
	struct v2 *v2 = arg;

	if (v2->goal == GOAL_NONE)
		return;
	v2_change_advance(v2);
	v2_read_advance(v2);
	v2_past_advance(v2);
	v2_wait_advance(v2);
}

/* Turns to GOAL. The call CHANGE goes on. */
static void
turn_to(struct v2 *v2, enum goal goal)
{
	v2->goal = goal;
	v2->generation = v2->contender->generation;
	call_stop(&v2->read);
	v2->read_wanted = v2->read_behind = false;
	v2_past_stop(v2);
	v2_wait_stop(v2);
	v2_wake(v2);
}

/* True where etcd-lock 1.x, which does not encode it, means the same by KEY. */
static bool
is_plain(const char *key)
{
	for (; *key != '\0'; key++)
		if (strchr("?#%", *key) != NULL || (unsigned char)*key >= 0x80)
			return false;
	return true;
}

/* --- what the lock asks for --- */

static void
v2_stop(void *arg)
{
	struct v2 *v2 = arg;

	turn_to(v2, GOAL_NONE);
	v2_change_stop(v2);
	task_cancel(v2->session->loop, &v2->advance);
}

static void
v2_join(void *arg)
{
	struct v2 *v2 = arg;

	turn_to(v2, GOAL_QUEUE);
	v2_change_stop(v2);
	v2->created = v2->modified = v2->known = 0;
	v2->overwritten = v2->reported = false;
	v2_report(v2, (struct report){ .kind = REPORT_GRANTED });
	v2_want_change(v2, V2_STEP_CREATE);
}

static void
v2_hold(void *arg)
{
	struct v2 *v2 = arg;

	/* Where the place is gone already, its report is the next. */
	if (v2->goal == GOAL_QUEUE)
		v2->goal = GOAL_HOLD;
}

static void
v2_look(void *arg)
{
	struct v2 *v2 = arg;

	if (v2->created != 0)
		v2_want_read(v2);
	else if (v2->step == V2_STEP_NONE && v2->next == V2_STEP_NONE)
		v2_want_change(v2, V2_STEP_CREATE);
}

static void
v2_follow(void *arg)
{
	struct v2 *v2 = arg;

	if (v2->created != 0)
		v2->known = v2->modified;
	if (!v2->following || v2->created != 0 || (!attempt_is_out(&v2->wait) && !timer_armed(&v2->again)))
		v2->poll_wanted = true;
	v2->following = true;
	v2_wake(v2);
}

static void
v2_renew(void *arg, bool firm)
{
	struct v2 *v2 = arg;
	const struct lease_term none = { .sent = clock_moment(), .ttl = v2_lock_ttl(v2) };
	const bool idle = v2->step == V2_STEP_NONE && v2->next == V2_STEP_NONE;

	(void)firm;
	if (v2->created == 0)
		v2_report(v2, (struct report){ .kind = REPORT_RENEWED, .place.term = none });
	/* Nothing holds a renewal up, but a read that is to tell whether the last one has worked: it renews then. */
	else if (idle && !(v2->ambiguous && (v2->read_wanted || call_active(&v2->read))))
		v2_want_change(v2, V2_STEP_REFRESH);
	else
		v2->due = idle;
}

static void
v2_release(void *arg, bool held)
{
	struct v2 *v2 = arg;
	const bool out = call_in_flight(&v2->change);

	turn_to(v2, GOAL_RELEASE);
	v2->held = held;
	/* Of a lock that was lost only what is as we left it is ours: another process of our id might have taken the
	 * key over. */
	v2->adopt = !v2->contender->lost && (v2->ambiguous || (v2->step == V2_STEP_REFRESH && out));
	if (v2->overwritten)
		v2->created = v2->modified = 0;
	/* A creation that is out might come through: have its answer first. */
	if (v2->step == V2_STEP_CREATE && out)
		return;
	v2_change_stop(v2);
	if (v2->created == 0)
		v2_report_released(v2);
	else
		v2_want_end(v2);
}

static int
v2_reclaim(void *arg, const char *owner_key, int64_t create_revision, bool held)
{
	struct v2 *v2 = arg;

	if (strcmp(owner_key, v2->contender->key) != 0 || create_revision <= 0) {
		errno = EINVAL;
		return -1;
	}
	turn_to(v2, GOAL_RECLAIM);
	v2->created = create_revision;
	v2->modified = 0;
	v2->held = held;
	v2->adopt = true;
	v2_want_read(v2);
	return 0;
}

/* --- set-up --- */

static void *
v2_new(const struct contender *contender)
{
	struct v2 *v2 = calloc(1, sizeof(*v2));

	if (v2 == NULL)
		return NULL;
	v2->contender = contender;
	v2->session = contender->session;
	if (!is_plain(contender->key))
		log_msg(&v2->session->log, LEVEL_NOTICE,
		    "etcd-lock 1.x puts a key with ?, #, %% or letters beyond ASCII into its URL as it is, and so locks another "
		    "one than %.200s: do not use both with this key",
		    contender->key);
	task_init(&v2->advance, advance, v2);
	v2_change_init(v2);
	v2_read_init(v2);
	v2_past_init(v2);
	v2_wait_init(v2);
	return v2;
}

static void
v2_free(void *arg)
{
	struct v2 *v2 = arg;

	v2_stop(v2);
	free(v2->holder);
	free(v2);
}

static const char *
v2_owner_key(const void *arg)
{
	const struct v2 *v2 = arg;

	return v2->created == 0 ? NULL : v2->contender->key;
}

static int64_t
v2_create_revision(const void *arg)
{
	return ((const struct v2 *)arg)->created;
}

const struct protocol protocol_v2 = {
	.new = v2_new,
	.free = v2_free,
	.join = v2_join,
	.hold = v2_hold,
	.look = v2_look,
	.follow = v2_follow,
	.renew = v2_renew,
	.release = v2_release,
	.reclaim = v2_reclaim,
	.stop = v2_stop,
	.owner_key = v2_owner_key,
	.create_revision = v2_create_revision,
};
