/* The queue: who is ahead of us, and whether our key is still ours. */
#include "lock/v3/v3_struct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct v3_kv *
v3_queue_own(const struct v3 *v3)
{
	for (size_t i = 0; i < v3->seen.count; i++)
		if (strcmp(v3->seen.entries[i].key, v3->names.key) == 0)
			return &v3->seen.entries[i];
	return NULL;
}

/* A key that no lease holds was never a contender's: the program that put it might not even know that it is in our way.
 * It counts all the same, as it does for etcdctl. */
static void
say_stray(struct v3 *v3, const struct v3_kv *kv)
{
	if (kv == NULL || kv->lease != 0 || v3->stray_said)
		return;
	v3->stray_said = true;
	log_msg(&v3->session->log, LEVEL_WARNING,
	    "in the way is %.200s, which has no lease: it is no lock, and never goes by itself. If it is somebody's data, use "
	    "another key for the lock, else: etcdctl del %.200s",
	    kv->key, kv->key);
}

/* A contender that has announced its release is out of the queue, though its key is still there; so is a place of our
 * own that we have given up. */
static bool
counts(struct v3 *v3, const struct v3_kv *kv)
{
	const struct lease *own_old = kv->lease == 0 ? NULL : lease_find(&v3->leases, kv->lease);

	return !v3_kv_released(kv) && (own_old == NULL || !own_old->revoke);
}

static void
report_place(struct v3 *v3, const struct v3_kv *holder)
{
	struct report report = { .kind = REPORT_PLACED, .place = { .ahead = v3->ahead, .revision = v3->placed } };
	struct place *place = &report.place;
	const struct lease_term first = lease_first_term(v3->held);

	place->holder = holder == NULL ? NULL : strdup(holder->value);
	place->holder_key = holder == NULL ? NULL : strdup(holder->key);
	place->term = v3->kept;
	/* A holder lives on first TTLs, whatever a waiter's keepalives have come to. */
	if (!v3_on_keepalives(v3) && lease_left(&first) < lease_left(&v3->kept))
		place->term = first;
	v3->reported = true;
	v3_report(v3, report);
}

/* A move of a waiter's key has worked unseen: OWN is on its lease. A holder hears that from the answer to its renewal,
 * which it counts from. */
static void
note_lease(struct v3 *v3, const struct v3_kv *own)
{
	if (v3->goal == GOAL_QUEUE && own->lease != v3->held->id && own->mod_revision > v3->mod_revision)
		v3_settle(v3, lease_find(&v3->leases, own->lease), own->mod_revision);
}

static void
place(struct v3 *v3)
{
	const struct v3_queue *queue = &v3->seen;
	const struct v3_kv *own = v3_queue_own(v3), *ahead = NULL, *holder = NULL;
	char *predecessor = NULL;

	if (own != NULL && v3->create_revision == 0) {
		v3->create_revision = own->create_revision;
		v3->mod_revision = own->mod_revision;
	}
	if (own == NULL || !v3_is_ours(v3, own)) {
		v3_lost_key(v3, own);
		return;
	}
	note_lease(v3, own);
	v3->ahead = 0;
	for (const struct v3_kv *kv = queue->entries; kv < own; kv++) {
		if (!counts(v3, kv))
			continue;
		ahead = kv;
		if (holder == NULL)
			holder = kv;
		v3->ahead++;
	}
	say_stray(v3, holder);
	if (ahead != NULL && (predecessor = strdup(ahead->key)) == NULL) {
		v3_report(v3, (struct report){ .kind = REPORT_NO_MEMORY });
		return;
	}
	free(v3->predecessor);
	v3->predecessor = predecessor;
	/* Back as well: a watch that tells some things twice does no harm. */
	v3->seen_own = v3->seen_ahead = v3->placed = queue->revision;
	if (v3->ahead > 0 || !v3_must_wait_for_clusters(v3))
		report_place(v3, holder);
}

void
v3_queue_place(struct v3 *v3)
{
	if (v3_is_stale(v3, v3->seen.revision))
		v3_want_look(v3);
	else
		place(v3);
	v3_queue_free(&v3->seen);
}

void
v3_queue_advance(struct v3 *v3)
{
	/* Not cancelled and sent again: that would cost its connection. */
	if (!v3->look_wanted || call_active(&v3->look))
		return;
	v3->look_wanted = false;
	(void)v3_call(v3, &v3->look, "/v3/kv/range", v3_encode_queue(&v3->names));
}

static enum call_verdict
on_answer(void *arg, const struct verdict *verdict, char text[CALL_TEXT])
{
	struct v3 *v3 = arg;
	struct v3_queue queue;
	enum call_verdict next;
	const char *wrong;

	if (v3->goal == GOAL_NONE)
		return CALL_DONE;
	if (!v3_accept(v3, &v3->look, true, verdict, &next, text))
		return next;
	wrong = v3_decode_queue(verdict->answer, &v3->names, false, &queue);
	if (wrong != NULL)
		return v3_senseless(wrong, text);
	v3_queue_free(&v3->seen);
	v3->seen = queue;
	v3_wake(v3);
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

	call_init(&v3->look, v3->session, &owner);
}
