/* The queue: who is ahead of us, and whether our key is still ours.
 *
 * No look reads more of the queue than it must: most often only our key, for who marks its key as released has held the
 * lock, so that nobody was ahead of it, and nobody comes in ahead of us. */
#include "lock/v3/v3_struct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pages of growing size: most often the first one has who is ahead. */
#define PAGES 3

static const struct v3_kv *
find(const struct v3 *v3, const char *key)
{
	for (size_t i = 0; i < v3->seen.count; i++)
		if (strcmp(v3->seen.entries[i].key, key) == 0)
			return &v3->seen.entries[i];
	return NULL;
}

const struct v3_kv *
v3_queue_own(const struct v3 *v3)
{
	return find(v3, v3->names.key);
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
	struct report report = { .kind = REPORT_PLACED,
		.place = { .ahead = v3->ahead, .far = v3->far, .revision = v3->placed } };
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

/* --- what a look shows of the others --- */

/* What is known of our place in the queue is as of the look that is dealt with. */
static void
place(struct v3 *v3, const struct v3_kv *holder)
{
	/* Back as well: a watch that tells some things twice does no harm. */
	v3->seen_own = v3->seen_ahead = v3->placed = v3->seen.revision;
	if (v3->ahead > 0 || !v3_must_wait_for_clusters(v3))
		report_place(v3, holder);
}

static void
place_first(struct v3 *v3)
{
	v3->first = true;
	v3->far = v3->unsure = false;
	v3->ahead = 0;
	free(v3->predecessor);
	v3->predecessor = NULL;
	place(v3, NULL);
}

/* AHEAD is the nearest one, and HOLDER the first of those that were read. */
static void
place_behind(struct v3 *v3, const struct v3_kv *ahead, const struct v3_kv *holder)
{
	char *predecessor = strdup(ahead->key);

	if (predecessor == NULL) {
		v3_report(v3, (struct report){ .kind = REPORT_NO_MEMORY });
		return;
	}
	free(v3->predecessor);
	v3->predecessor = predecessor;
	v3->ahead_create = ahead->create_revision;
	v3->ahead_mod = ahead->mod_revision;
	v3->unsure = false;
	/* Without values, some versions of etcd do not tell of leases either. */
	if (ahead->value_len > 0 || !v3->far)
		say_stray(v3, v3->far ? ahead : holder);
	place(v3, v3->far ? NULL : holder);
}

/* This page has nobody, and is not the last. */
static void
want_next_page(struct v3 *v3)
{
	const struct v3_queue *queue = &v3->seen;

	/* Keys of one revision that fill the largest page are one transaction's, which is no contender's. */
	v3->below = queue->lowest - (v3->page + 1 >= PAGES && queue->lowest == v3->below ? 1 : 0);
	v3->page++;
	v3->unsure = true;
	v3_want_look(v3);
}

static void
read_page(struct v3 *v3, const struct v3_kv *own)
{
	const struct v3_kv *ahead = NULL, *holder = NULL;
	long count = 0;

	for (const struct v3_kv *kv = v3->seen.entries; kv < own; kv++) {
		if (!counts(v3, kv))
			continue;
		ahead = kv;
		if (holder == NULL)
			holder = kv;
		count++;
	}
	if (ahead == NULL && v3->seen.more) {
		want_next_page(v3);
		return;
	}
	/* Of a page without values not even the ids are known. */
	v3->far = v3->seen.more || v3->bare || v3->page > 0;
	v3->crowded = v3->crowded || v3->seen.more;
	v3->page = 0;
	v3->ahead = count;
	if (ahead == NULL)
		place_first(v3);
	else
		place_behind(v3, ahead, holder);
}

static void
read_pair(struct v3 *v3)
{
	const struct v3_kv *ahead = v3->predecessor == NULL ? NULL : find(v3, v3->predecessor);

	/* It is gone, or its key is moved: that is done by a holder, and by the next in line. */
	if (ahead == NULL || ahead->create_revision != v3->ahead_create ||
	    (ahead->mod_revision != v3->ahead_mod && !v3_kv_released(ahead))) {
		v3->unsure = true;
		v3_want_look(v3);
	} else if (v3_kv_released(ahead)) {
		place_first(v3);
	} else {
		place(v3, NULL);
	}
}

static void
read_seen(struct v3 *v3)
{
	const struct v3_kv *own = v3_queue_own(v3);

	if (v3_is_stale(v3, v3->seen.revision)) {
		v3_want_look(v3);
		return;
	}
	if (own != NULL && v3->create_revision == 0) {
		v3->create_revision = own->create_revision;
		v3->mod_revision = own->mod_revision;
	}
	if (own == NULL || !v3_is_ours(v3, own)) {
		v3_lost_key(v3, own);
		return;
	}
	note_lease(v3, own);
	if (v3->goal == GOAL_HOLD || v3->first)
		place_first(v3);
	else if (v3->shows == V3_LOOK_PAGE)
		read_page(v3, own);
	else if (v3->shows == V3_LOOK_PAIR)
		read_pair(v3);
	else
		v3_want_look(v3); /* a join that had worked before, and has no page */
}

void
v3_queue_place(struct v3 *v3)
{
	read_seen(v3);
	v3_queue_free(&v3->seen);
}

/* --- looks --- */

static enum v3_look
what_to_read(const struct v3 *v3)
{
	if (v3->goal != GOAL_QUEUE || v3->first)
		return V3_LOOK_OWN;
	/* Who is near has to know when it is the next in line, and is one of few. */
	return v3->far && !v3->unsure ? V3_LOOK_PAIR : V3_LOOK_PAGE;
}

static char *
encode_look(struct v3 *v3)
{
	static const int limits[PAGES] = { V3_PAGE_FIRST + 1, 128, 1024 };

	switch (v3->looking) {
	case V3_LOOK_OWN:
		return v3_encode_own(&v3->names);
	case V3_LOOK_PAIR:
		return v3_encode_pair(&v3->names, v3->predecessor);
	case V3_LOOK_PAGE:
		break;
	}
	if (v3->page == 0)
		v3->below = v3->create_revision;
	return v3_encode_page(
	    &v3->names, v3->below, limits[v3->page < PAGES ? v3->page : PAGES - 1], v3->page == 0 && !v3->bare);
}

void
v3_queue_advance(struct v3 *v3)
{
	/* Not cancelled and sent again: that would cost its connection. */
	if (!v3->look_wanted || call_active(&v3->look))
		return;
	v3->look_wanted = v3->outdated = false;
	v3->looking = what_to_read(v3);
	(void)v3_call(v3, &v3->look, v3->looking == V3_LOOK_OWN ? "/v3/kv/range" : "/v3/kv/txn", encode_look(v3));
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
	if (v3->outdated) {
		v3_want_look(v3);
		return CALL_DONE;
	}
	if (verdict->kind == VERDICT_TOO_LONG && v3->looking == V3_LOOK_PAGE && !v3->bare) {
		v3->bare = true;
		v3_want_look(v3);
		return CALL_DONE;
	}
	if (!v3_accept(v3, &v3->look, true, verdict, &next, text))
		return next;
	wrong = v3_decode_queue(verdict->answer, &v3->names, v3->looking != V3_LOOK_OWN, &queue);
	if (wrong != NULL)
		return v3_senseless(wrong, text);
	v3_queue_free(&v3->seen);
	v3->seen = queue;
	v3->shows = v3->looking;
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
