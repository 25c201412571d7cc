/* The v2 backend: the lock of etcd-lock 1.x. The key is the lock's, its value the holder's id; whoever creates it has
 * the lock, and the others wait for it to go. There is no queue: all that wait try when it has gone.
 *
 * What is ours is told by the chain of indexes: we created the key at CREATED, and last changed it at MODIFIED. Its
 * value tells nothing, for another process may have the same id. So a creation whose answer was lost is not claimed: it
 * ends by itself. */
#include "lock/v2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest that the answer to a creation is waited for: an etcd that is frozen does not answer at all. */
#define CREATION_LIMIT (10 * NSEC_PER_SEC)

static nsec
lock_ttl(const struct v2 *v2)
{
	return v2->lock->timing.ttl_s * NSEC_PER_SEC;
}

static nsec
try_limit(const struct v2 *v2)
{
	return timing_try_limit(lock_ttl(v2));
}

/* A creation that is given up and works all the same is nobody's, and in everybody's way for a TTL: its answer is
 * waited for as long as enough of the lease would be left. */
static nsec
creation_limit(const struct v2 *v2)
{
	nsec limit = lock_ttl(v2) / 3;

	if (limit > CREATION_LIMIT)
		limit = CREATION_LIMIT;
	return limit > try_limit(v2) ? limit : try_limit(v2);
}

static void
change_start(struct v2 *v2, enum v2_stage stage, const char *method, char *path)
{
	/* Of a renewal it matters whether a step in the chain may be ours. */
	bool once = stage == V2_STAGE_REFRESH;

	v2->stage = stage;
	v2->ambiguous = false;
	v2->due = false;
	v2->first_sent = clock_moment();
	v2->ttl = lock_ttl(v2);
	if (stage == V2_STAGE_CREATE)
		call_limit_connect(&v2->change, try_limit(v2));
	if (call_request(
		&v2->change, method, path, once, stage == V2_STAGE_CREATE ? creation_limit(v2) : try_limit(v2)) == -1) {
		v2->stage = V2_STAGE_NONE;
		lock_stumbled(v2->lock);
	}
}

static void
change_stop(struct v2 *v2)
{
	call_stop(&v2->change);
	v2->stage = V2_STAGE_NONE;
}

void
v2_read_key(struct v2 *v2)
{
	if (call_active(&v2->read))
		return;
	v2->read.mark = v2->modified;
	if (call_request(&v2->read, "GET", v2_encode_read(v2->lock->key), false, try_limit(v2)) == -1)
		lock_stumbled(v2->lock);
}

static void
create_key(struct v2 *v2)
{
	const struct etcdlock *lock = v2->lock;

	change_start(v2, V2_STAGE_CREATE, "PUT", v2_encode_create(lock->key, lock->id, lock->timing.ttl_s));
}

void
v2_lost(struct v2 *v2, const struct v2_node *node)
{
	char why[256];

	v2->foreign = true;
	if (node == NULL)
		snprintf(why, sizeof(why), "its key %.150s is gone: deleted from outside, or expired", v2->lock->key);
	else
		snprintf(why, sizeof(why), "its key %.150s was changed from outside at index %" PRId64, v2->lock->key,
		    node->modified);
	lock_gone(v2->lock, why);
}

static void
report_place(struct v2 *v2, const char *holder)
{
	struct place place = { .ahead = holder != NULL, .holder = holder, .revision = v2->modified, .term = v2->term };

	/* Who waits has no lease; that it would wear out makes the machine look now and then. */
	if (holder != NULL)
		place.term = (struct lease_term){ .sent = clock_moment(), .ttl = lock_ttl(v2) };
	lock_placed(v2->lock, &place);
}

/* --- leaving --- */

static void
left(struct v2 *v2)
{
	v2->leaving = false;
	v2->created = v2->modified = 0;
	lock_left(v2->lock);
}

static void
delete_key(struct v2 *v2)
{
	if (v2->created == 0)
		left(v2);
	else
		change_start(v2, V2_STAGE_DELETE, "DELETE", v2_encode_delete(v2->lock->key, v2->modified));
}

static void
v2_leave(void *arg, bool held)
{
	struct v2 *v2 = arg;

	(void)held; /* a key is there only for a holder, and its deletion by index says that all is over */
	v2->leaving = true;
	call_stop(&v2->read);
	v2_follow_stop(v2);
	/* Of a lock that was lost only what is as we left it is ours: another process of our id may have taken the key
	 * over. */
	v2->adopt =
	    !v2->lock->lost && (v2->ambiguous || (v2->stage == V2_STAGE_REFRESH && call_in_flight(&v2->change)));
	if (v2->foreign)
		v2->created = v2->modified = 0;
	/* A creation that is out may come through: have its answer first. */
	if (v2->stage == V2_STAGE_CREATE && call_in_flight(&v2->change))
		return;
	change_stop(v2);
	delete_key(v2);
}

static int
v2_reclaim(void *arg, const char *owner_key, int64_t create_revision, bool held)
{
	struct v2 *v2 = arg;

	(void)held;
	if (strcmp(owner_key, v2->lock->key) != 0 || create_revision <= 0) {
		errno = EINVAL;
		return -1;
	}
	v2->created = create_revision;
	v2->modified = 0;
	v2->leaving = v2->adopt = true;
	v2_read_key(v2);
	return 0;
}

/* --- answers --- */

static void
refresh_key(struct v2 *v2)
{
	const struct etcdlock *lock = v2->lock;

	change_start(v2, V2_STAGE_REFRESH, "PUT", v2_encode_refresh(lock->key, v2->modified, lock->timing.ttl_s));
}

/* The change that was sent at SENT has given our key another TTL: the one that it asked for, which may not be the
 * lock's any more. */
static void
renewed(struct v2 *v2, struct moment sent)
{
	v2->term = (struct lease_term){ .sent = sent, .ttl = v2->ttl };
	if (v2->ttl != lock_ttl(v2))
		refresh_key(v2);
	lock_renewed(v2->lock, &v2->term);
}

/* Our key, as a read shows it. */
static void
on_own_read(struct v2 *v2, const struct v2_answer *answer)
{
	const struct v2_node *node = &answer->node;
	bool ambiguous,
	    ours = answer->verdict == V2_OK && node->created == v2->created && strcmp(node->value, v2->lock->id) == 0;

	/* It was read before our last change of it, and has come late. Read after that, it is of a store that was
	 * restored. */
	if (ours && node->modified < v2->modified && node->modified >= v2->read.mark) {
		v2_read_key(v2);
		return;
	}
	/* A step in the chain that none of our tries can have made is somebody else's. */
	if (ours && node->modified != v2->modified && !(v2->leaving ? v2->adopt : v2->ambiguous))
		ours = false;
	if (!ours) {
		if (v2->leaving)
			left(v2);
		else
			v2_lost(v2, answer->verdict == V2_OK ? node : NULL);
		return;
	}
	v2->known = node->modified;
	if (v2->leaving) {
		v2->adopt = false;
		v2->modified = node->modified;
		delete_key(v2);
	} else if (node->modified != v2->modified) {
		v2->modified = node->modified;
		v2->ambiguous = false;
		renewed(v2, v2->first_sent);
	} else if (v2->due && lock_owned(v2->lock)) {
		/* An earlier one that may be on its way still would be ours. */
		ambiguous = v2->ambiguous;
		refresh_key(v2);
		v2->ambiguous = ambiguous;
	} else {
		report_place(v2, NULL);
	}
}

static void
on_others_read(struct v2 *v2, const struct v2_answer *answer)
{
	v2->changed_hands = false;
	if (answer->verdict == V2_NONE)
		create_key(v2);
	else if (answer->node.directory)
		lock_refused(v2->lock, "the key is a directory in etcd");
	else
		report_place(v2, answer->node.value);
}

/* What CALL_* an answer amounts to that is none of those that the caller knows. */
static enum call_verdict
otherwise(struct v2 *v2, const struct v2_answer *answer, const char *text)
{
	bool refused = answer->verdict == V2_REFUSED || answer->verdict == V2_UNAUTHORIZED;

	if (answer->verdict == V2_NOT_ETCD)
		return CALL_UNUSABLE;
	/* The password may have been changed since it was good. */
	if (answer->verdict == V2_UNAUTHORIZED &&
	    (lock_owned(v2->lock) || v2->leaving || v2->lock->state == ETCDLOCK_WAITING))
		return CALL_UNAUTHORIZED;
	if (!refused || lock_owned(v2->lock) || v2->leaving)
		return CALL_RETRY;
	lock_refused(v2->lock, text);
	return CALL_DONE;
}

static enum call_verdict
on_read(void *arg, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	struct v2 *v2 = arg;
	enum call_verdict verdict = CALL_DONE;
	struct v2_answer answer;

	v2_judge(status, body, len, &answer, text);
	if (answer.verdict != V2_OK && answer.verdict != V2_NONE) {
		verdict = otherwise(v2, &answer, text);
	} else {
		call_stop(&v2->read);
		if (v2->created != 0)
			on_own_read(v2, &answer);
		else if (v2->stage == V2_STAGE_NONE)
			on_others_read(v2, &answer);
	}
	v2_answer_free(&answer);
	return verdict;
}

static void
on_created(struct v2 *v2, const struct v2_node *node)
{
	v2->created = node->created;
	v2->modified = v2->known = node->modified;
	v2->term = (struct lease_term){ .sent = v2->change.sent, .ttl = v2->ttl };
	change_stop(v2);
	/* One that was read before. */
	call_stop(&v2->read);
	if (v2->leaving) {
		delete_key(v2);
		return;
	}
	v2_follow_stop(v2);
	report_place(v2, NULL);
}

static void
on_refreshed(struct v2 *v2, const struct v2_node *node)
{
	struct moment sent = v2->change.sent;

	v2->modified = v2->known = node->modified;
	change_stop(v2);
	renewed(v2, sent);
}

/* The change cannot be made as the key is now. */
static void
on_obstacle(struct v2 *v2, const struct v2_answer *answer)
{
	enum v2_stage stage = v2->stage;
	bool ambiguous = v2->ambiguous || call_in_flight(&v2->change);

	change_stop(v2);
	v2->ambiguous = ambiguous;
	if (stage == V2_STAGE_CREATE && v2->leaving) {
		left(v2);
	} else if (stage == V2_STAGE_CREATE) {
		v2->known = answer->index;
		/* All that waited have tried, and one has got it: to ask who would double what a hand-over costs.
		 * Unless it may be a creation of our own, whose answer was lost. */
		if (v2->lock->state != ETCDLOCK_WAITING || ambiguous)
			v2_read_key(v2);
		else
			report_place(v2, v2->changed_hands ? "another one" : etcdlock_holder(v2->lock));
	} else if (answer->verdict == V2_MISMATCH) {
		/* A try of ours whose answer was lost may have moved the index. */
		v2->due = !v2->leaving;
		v2_read_key(v2);
	} else if (v2->leaving) {
		left(v2);
	} else {
		v2_lost(v2, NULL);
	}
}

static enum call_verdict
on_change(void *arg, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	struct v2 *v2 = arg;
	enum call_verdict verdict = CALL_DONE;
	struct v2_answer answer;

	v2_judge(status, body, len, &answer, text);
	if (answer.verdict == V2_EXISTS || answer.verdict == V2_MISMATCH || answer.verdict == V2_NONE) {
		on_obstacle(v2, &answer);
	} else if (answer.verdict != V2_OK) {
		v2->ambiguous = v2->ambiguous || answer.verdict == V2_TRANSIENT;
		verdict = otherwise(v2, &answer, text);
	} else if (v2->stage == V2_STAGE_CREATE) {
		on_created(v2, &answer.node);
	} else if (v2->stage == V2_STAGE_REFRESH) {
		on_refreshed(v2, &answer.node);
	} else if (v2->stage == V2_STAGE_DELETE) {
		change_stop(v2);
		left(v2);
	}
	v2_answer_free(&answer);
	return verdict;
}

static void
on_read_trouble(void *arg, const struct call_trouble *trouble)
{
	struct v2 *v2 = arg;

	if (v2->wait != NULL && trouble->endpoint == v2->wait_endpoint)
		v2_wait_again(v2, 0);
	lock_trouble(v2->lock, trouble);
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	struct v2 *v2 = arg;

	v2->ambiguous = v2->ambiguous || trouble->sent;
	/* Nothing can have come of a creation that was never sent. */
	if (v2->leaving && v2->stage == V2_STAGE_CREATE && !v2->ambiguous) {
		change_stop(v2);
		left(v2);
		return;
	}
	on_read_trouble(arg, trouble);
}

/* --- operations --- */

static void
v2_stop(void *arg)
{
	struct v2 *v2 = arg;

	change_stop(v2);
	call_stop(&v2->read);
	v2_follow_stop(v2);
	v2->leaving = false;
}

static void
v2_join(void *arg)
{
	struct v2 *v2 = arg;

	v2_stop(v2);
	v2->created = v2->modified = v2->known = 0;
	v2->foreign = false;
	lock_granted(v2->lock);
	create_key(v2);
}

static void
v2_look(void *arg)
{
	struct v2 *v2 = arg;

	if (v2->created != 0)
		v2_read_key(v2);
	else if (v2->stage == V2_STAGE_NONE)
		create_key(v2);
}

static void
v2_renew(void *arg, bool firm)
{
	struct v2 *v2 = arg;
	const struct lease_term none = { .sent = clock_moment(), .ttl = lock_ttl(v2) };

	(void)firm;
	if (v2->created == 0)
		lock_renewed(v2->lock, &none);
	/* Nothing holds a renewal up, but a read that is to tell whether the last one has worked: it renews then. */
	else if (v2->stage == V2_STAGE_NONE && !(v2->ambiguous && call_active(&v2->read)))
		refresh_key(v2);
	else
		v2->due = v2->stage == V2_STAGE_NONE;
}

static void *
v2_new(struct etcdlock *lock)
{
	const struct call_owner change = { .on_answer = on_change, .on_trouble = on_trouble };
	const struct call_owner read = { .on_answer = on_read, .on_trouble = on_read_trouble };
	struct v2 *v2 = calloc(1, sizeof(*v2));

	if (v2 == NULL)
		return NULL;
	v2->lock = lock;
	if (!v2_key_is_plain(lock->key))
		log_msg(&lock->client->log, LEVEL_NOTICE,
		    "etcd-lock 1.x puts a key with ?, #, %% or letters beyond ASCII into its URL as it is, and so locks another "
		    "one than %.200s: do not use both with this key",
		    lock->key);
	v2_wait_init(v2);
	call_init(&v2->change, lock->client, &change);
	call_init(&v2->read, lock->client, &read);
	v2->change.owner.arg = v2->read.owner.arg = v2;
	return v2;
}

static void
v2_free(void *arg)
{
	v2_stop(arg);
	free(arg);
}

static const char *
v2_owner_key(const void *arg)
{
	const struct v2 *v2 = arg;

	return v2->created == 0 ? NULL : v2->lock->key;
}

static int64_t
v2_create_revision(const void *arg)
{
	return ((const struct v2 *)arg)->created;
}

const struct backend_ops backend_v2 = {
	.new = v2_new,
	.free = v2_free,
	.join = v2_join,
	.look = v2_look,
	.follow = v2_follow,
	.renew = v2_renew,
	.leave = v2_leave,
	.reclaim = v2_reclaim,
	.stop = v2_stop,
	.owner_key = v2_owner_key,
	.create_revision = v2_create_revision,
};
