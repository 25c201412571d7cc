/* Whether the store that answers is the one in which our key is.
 *
 * A revision below one that we know is proof of another store (emptied, or restored from an older copy) only in an
 * answer that went through the quorum and was asked for after we knew it: what a watch or a keepalive says comes from
 * one member's memory, and a healthy follower can lag by hundreds of revisions. The id of the cluster stands in every
 * header; a store that was emptied and started with the same flags keeps it. */
#include "lock/v3/v3_struct.h"

#include "lock/client.h"

#include <inttypes.h>
#include <stdio.h>

/* What holds up an acquisition only: while it is not certain yet of which cluster the endpoints are. */
static bool
is_starting(const struct v3 *v3)
{
	return v3->goal == GOAL_QUEUE && !v3->reported;
}

static void
forget(struct v3 *v3)
{
	v3->cluster = 0;
	v3->revision = 0;
}

/* The store is another one. */
static bool
replaced(struct v3 *v3, const char *why)
{
	forget(v3);
	v3->placed = 0;
	/* Of what the endpoints said before nothing is known to be true. */
	cluster_forget(v3->session->cluster);
	v3_gone(v3, why);
	return false;
}

/* True where no endpoint is known to be of our cluster any more. */
static bool
is_our_cluster_gone(const struct v3 *v3)
{
	const struct endpoints *endpoints = v3->session->endpoints;

	for (size_t i = 0; i < endpoints->count; i++)
		if (!endpoints->list[i].gone &&
		    (endpoints->list[i].cluster == v3->cluster || endpoints->list[i].cluster == 0))
			return false;
	return true;
}

/* An answer of another cluster than ours: *NEXT and TEXT as in v3_accept(). */
static bool
other_cluster(struct v3 *v3, const struct v3_header *header, const struct verdict *verdict, enum call_verdict *next,
    char text[CALL_TEXT])
{
	char why[CALL_TEXT];

	*next = CALL_DONE;
	if (is_starting(v3) && cluster_is_split(v3->session->cluster, why, sizeof(why))) {
		v3_refused(v3, why);
		return false;
	}
	snprintf(why, sizeof(why), "%.200s is of cluster %" PRIx64 ", and our key is in cluster %" PRIx64,
	    verdict->endpoint->name, header->cluster, v3->cluster);
	/* A waiter has time: the place in the queue of our own cluster might still be there. Nobody there knows of it
	 * after the lease has ended. */
	if (v3->goal != GOAL_HOLD && !is_our_cluster_gone(v3) && (v3->held == NULL || lease_left(&v3->kept) > 0)) {
		*next = CALL_RETRY;
		snprintf(text, CALL_TEXT, "%s", why);
		return false;
	}
	return replaced(v3, why);
}

/* Whether VERDICT, which is VERDICT_OK, comes from our store. */
static bool
is_of_our_store(struct v3 *v3, const struct call *call, bool quorum, const struct verdict *verdict,
    enum call_verdict *next, char text[CALL_TEXT])
{
	struct v3_header header;
	char why[CALL_TEXT];

	/* What is not there any more needs no release. */
	if (v3->goal == GOAL_RELEASE || v3->goal == GOAL_RECLAIM || v3_decode_header(verdict->answer, &header) != NULL)
		return true;
	if (header.cluster != 0)
		verdict->endpoint->cluster = header.cluster;
	if (header.cluster != 0 && v3->cluster != 0 && header.cluster != v3->cluster)
		return other_cluster(v3, &header, verdict, next, text);
	if (header.cluster != 0)
		v3->cluster = header.cluster;
	if (!quorum) {
		if (header.revision < v3->revision && v3->held != NULL)
			v3_want_look(v3);
		return true;
	}
	if (header.revision < call->mark) {
		snprintf(why, sizeof(why),
		    "etcd's store is not the one that it was, at revision %" PRId64 " after %" PRId64
		    ": restored from an older copy, or emptied",
		    header.revision, call->mark);
		*next = CALL_DONE;
		return replaced(v3, why);
	}
	if (header.revision > v3->revision)
		v3->revision = header.revision;
	return true;
}

/* In an etcd that is full, a place can be kept or given up; a newcomer is sent away. */
static enum call_verdict
on_refusal(struct v3 *v3, enum verdict_kind kind, char text[CALL_TEXT])
{
	client_explain(v3->session, v3->contender->key, text, CALL_TEXT);
	if (goal_is_persistent(v3->goal) || (kind == VERDICT_NO_SPACE && v3->held != NULL))
		return CALL_RETRY;
	v3_refused(v3, text);
	return CALL_DONE;
}

bool
v3_accept(struct v3 *v3, const struct call *call, bool quorum, const struct verdict *verdict, enum call_verdict *next,
    char text[CALL_TEXT])
{
	if (verdict->kind == VERDICT_OK)
		return is_of_our_store(v3, call, quorum, verdict, next, text);
	*next = verdict_is_refusal(verdict) ? on_refusal(v3, verdict->kind, text) : CALL_RETRY;
	return false;
}

bool
v3_is_stale(const struct v3 *v3, int64_t revision)
{
	return revision < v3->mod_revision || revision < v3->placed;
}

/* The endpoints have said of which cluster they are, or had their time: go on. */
static void
on_clusters_known(void *arg)
{
	v3_want_look(arg);
}

bool
v3_must_wait_for_clusters(struct v3 *v3)
{
	char text[CALL_TEXT];

	if (v3->goal == GOAL_HOLD)
		return false;
	/* A contender that has waited takes the cluster that it has queued in. */
	if (is_starting(v3) && cluster_is_split(v3->session->cluster, text, sizeof(text))) {
		v3_refused(v3, text);
		return true;
	}
	if (v3->clusters_awaited || !cluster_wait(v3->session->cluster, &v3->clusters))
		return false;
	v3->clusters_awaited = true;
	return true;
}

void
v3_store_init(struct v3 *v3)
{
	v3->clusters = (struct cluster_waiter){ .ready = on_clusters_known, .arg = v3 };
}
