/* The queue: who is ahead of us, and whether our key is still ours. */
#include "lock/v3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
v3_is_ours(struct v3 *v3, const struct v3_kv *kv)
{
	const char *id = v3->lock->id;

	return kv->create_revision == v3->create_revision && kv->lease != 0 &&
	    lease_find(&v3->ledger, kv->lease) != NULL && kv->value_len == strlen(id) &&
	    memcmp(kv->value, id, kv->value_len) == 0;
}

void
v3_lost_key(struct v3 *v3, const struct v3_kv *kv)
{
	char why[256];

	v3->foreign = kv != NULL;
	if (kv == NULL)
		snprintf(why, sizeof(why), "its key %.150s is gone: deleted from outside, or its lease ended",
		    v3->names.key);
	else
		snprintf(why, sizeof(why), "its key %.150s was changed from outside at revision %" PRId64,
		    v3->names.key, kv->mod_revision);
	lock_gone(v3->lock, why);
}

static const struct v3_kv *
find_own(const struct v3 *v3, const struct v3_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		if (strcmp(queue->entries[i].key, v3->names.key) == 0)
			return &queue->entries[i];
	return NULL;
}

/* A key that no lease holds was never a contender's: whoever put it may not even know that it is in our way. It counts
 * all the same, as it does for etcdctl. */
static void
say_stray(struct v3 *v3, const struct v3_kv *kv)
{
	if (kv == NULL || kv->lease != 0 || v3->stray_said)
		return;
	v3->stray_said = true;
	log_msg(&v3->lock->client->log, LEVEL_WARNING,
	    "in the way is %.200s, which has no lease: it is no lock, and never goes by itself. If it is somebody's data, use "
	    "another key for the lock, else: etcdctl del %.200s",
	    kv->key, kv->key);
}

void
v3_place(struct v3 *v3, const struct v3_queue *queue)
{
	const struct v3_kv *own = find_own(v3, queue), *ahead = NULL, *holder = NULL;
	struct place place = { .revision = queue->revision };
	char *predecessor = NULL;

	if (own != NULL && v3->create_revision == 0) {
		v3->create_revision = own->create_revision;
		v3->mod_revision = own->mod_revision;
	}
	if (own == NULL || !v3_is_ours(v3, own)) {
		v3_lost_key(v3, own);
		return;
	}
	for (const struct v3_kv *kv = queue->entries; kv < own; kv++) {
		const struct lease *own_old = kv->lease == 0 ? NULL : lease_find(&v3->ledger, kv->lease);

		/* Who has announced its release is out of the queue, though its key is still there; and so is a place
		 * of our own that we have given up. */
		if (v3_kv_released(kv) || (own_old != NULL && own_old->revoke))
			continue;
		ahead = kv;
		if (holder == NULL)
			holder = kv;
		place.ahead++;
	}
	say_stray(v3, holder);
	if (ahead != NULL && (predecessor = strdup(ahead->key)) == NULL) {
		lock_stumbled(v3->lock);
		return;
	}
	free(v3->predecessor);
	v3->predecessor = predecessor;
	/* Back as well: a watch that tells some things twice does no harm. */
	v3->seen_own = v3->seen_ahead = v3->placed = queue->revision;
	place.holder = holder == NULL ? NULL : holder->value;
	place.holder_key = holder == NULL ? NULL : holder->key;
	place.term =
	    v3_on_keepalives(v3) ? v3->kept : (struct lease_term){ .sent = v3->held->sent, .ttl = v3->held->ttl };
	if (place.ahead > 0 || !v3_must_wait_for_clusters(v3))
		lock_placed(v3->lock, &place);
}

void
v3_look(void *arg)
{
	struct v3 *v3 = arg;

	if (v3->create_revision == 0)
		return;
	/* Not cancelled and sent again: that would cost its connection. */
	v3->look_again = call_active(&v3->look);
	if (v3->look_again)
		return;
	if (v3_call(v3, &v3->look, "/v3/kv/range", v3_encode_queue(&v3->names)) == -1)
		lock_stumbled(v3->lock);
}

static enum call_verdict
on_answer(void *arg, long status, const char *body, size_t len, char text[CALL_TEXT])
{
	struct v3 *v3 = arg;
	struct v3_queue queue;
	enum call_verdict verdict;
	enum v3_verdict judged;
	const char *wrong;
	json_t *answer;

	if (!v3_accept(v3, &v3->look, true, status, body, len, &answer, &judged, &verdict, text))
		return verdict;
	wrong = v3_decode_queue(answer, &v3->names, false, &queue);
	json_decref(answer);
	if (wrong != NULL)
		return v3_senseless(wrong, text);
	call_stop(&v3->look);
	v3_watch_looked(v3);
	if (v3->reclaiming)
		v3_reclaim_found(v3, find_own(v3, &queue));
	else if (v3_is_stale(v3, queue.revision))
		v3_look(v3);
	else
		v3_place(v3, &queue);
	v3_queue_free(&queue);
	if (v3->look_again && v3->lock->state == ETCDLOCK_WAITING)
		v3_look(v3);
	return CALL_DONE;
}

static void
on_trouble(void *arg, const struct call_trouble *trouble)
{
	v3_trouble(arg, trouble);
}

void
v3_queue_init(struct v3 *v3)
{
	const struct call_owner owner = { .on_answer = on_answer, .on_trouble = on_trouble, .arg = v3 };

	call_init(&v3->look, v3->lock->client, &owner);
}
