/* Whether the store that answers is the one in which our key is.
 *
 * A revision below one that we know is proof of another store (emptied, or restored from an older copy) only in an
 * answer that went through the quorum and was asked for after we knew it: what a watch or a keepalive says comes from
 * one member's memory, and a healthy follower can lag by hundreds of revisions. The id of the cluster stands in every
 * header; a store that was emptied and started with the same flags keeps it. */
#include "lock/v3.h"

#include <inttypes.h>
#include <stdio.h>

/* What holds up an acquisition only: while it is not certain yet of which cluster the endpoints are. */
static bool
is_starting(const struct v3 *v3)
{
	return v3->lock->state == ETCDLOCK_GRANTING || v3->lock->state == ETCDLOCK_CONTENDING;
}

static void
forget(struct v3 *v3)
{
	v3->cluster = 0;
	v3->revision = 0;
}

/* The store is another one. */
static enum v3_store
replaced(struct v3 *v3, const char *why)
{
	forget(v3);
	v3->placed = 0;
	/* Of what the endpoints said before nothing is known to be true. */
	cluster_forget(v3->lock->client->cluster);
	lock_gone(v3->lock, why);
	return V3_STORE_GONE;
}

/* True where no endpoint is known to be of our cluster any more. */
static bool
is_our_cluster_gone(const struct v3 *v3)
{
	const struct endpoints *endpoints = v3->lock->client->endpoints;

	for (size_t i = 0; i < endpoints->count; i++)
		if (!endpoints->list[i].gone &&
		    (endpoints->list[i].cluster == v3->cluster || endpoints->list[i].cluster == 0))
			return false;
	return true;
}

static enum v3_store
other_cluster(struct v3 *v3, const struct v3_header *header, const struct call *call, char text[CALL_TEXT])
{
	char why[CALL_TEXT];

	if (is_starting(v3) && cluster_is_split(v3->lock->client->cluster, text, CALL_TEXT)) {
		lock_refused(v3->lock, text);
		return V3_STORE_GONE;
	}
	snprintf(why, sizeof(why), "%.200s is of cluster %" PRIx64 ", and our key is in cluster %" PRIx64,
	    call->endpoint->name, header->cluster, v3->cluster);
	/* Who waits has time: the place in the queue of our own cluster may still be there. Nobody there knows of it
	 * after the lease has ended. */
	if (!lock_owned(v3->lock) && !is_our_cluster_gone(v3) &&
	    (v3->held == NULL || lease_left(&v3->kept.sent, v3->kept.ttl) > 0)) {
		snprintf(text, CALL_TEXT, "%s", why);
		return V3_STORE_OTHER;
	}
	return replaced(v3, why);
}

enum v3_store
v3_check_store(struct v3 *v3, const json_t *answer, const struct call *call, bool quorum, char text[CALL_TEXT])
{
	struct v3_header header;
	char why[CALL_TEXT];

	/* What is not there any more needs no release. */
	if (v3->leaving || v3_decode_header(answer, &header) != NULL)
		return V3_STORE_OURS;
	if (header.cluster != 0)
		call->endpoint->cluster = header.cluster;
	if (header.cluster != 0 && v3->cluster != 0 && header.cluster != v3->cluster)
		return other_cluster(v3, &header, call, text);
	if (header.cluster != 0)
		v3->cluster = header.cluster;
	if (!quorum) {
		if (header.revision < v3->revision && v3->held != NULL)
			v3_look(v3);
		return V3_STORE_OURS;
	}
	if (header.revision < call->mark) {
		snprintf(why, sizeof(why),
		    "etcd's store is not the one that it was, at revision %" PRId64 " after %" PRId64
		    ": restored from an older copy, or emptied",
		    header.revision, call->mark);
		return replaced(v3, why);
	}
	if (header.revision > v3->revision)
		v3->revision = header.revision;
	return V3_STORE_OURS;
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
	v3_look(arg);
}

bool
v3_must_wait_for_clusters(struct v3 *v3)
{
	char text[CALL_TEXT];

	if (lock_owned(v3->lock))
		return false;
	/* Who has waited takes the cluster that it has queued in. */
	if (is_starting(v3) && cluster_is_split(v3->lock->client->cluster, text, sizeof(text))) {
		lock_refused(v3->lock, text);
		return true;
	}
	if (v3->clusters_awaited || !cluster_wait(v3->lock->client->cluster, &v3->clusters))
		return false;
	v3->clusters_awaited = true;
	return true;
}

void
v3_store_init(struct v3 *v3)
{
	v3->clusters = (struct cluster_waiter){ .ready = on_clusters_known, .arg = v3 };
}
