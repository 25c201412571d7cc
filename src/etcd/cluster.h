/* Whether all endpoints are of one cluster. Two clusters behind one list would be two stores of one name: each client
 * takes whatever endpoint it comes to first. So at the start every endpoint is asked once who it is, beside the first
 * requests, and an endpoint that could not be asked is asked again later. */
#ifndef ETCD_CLUSTER_H
#define ETCD_CLUSTER_H

#include "base/queue.h"
#include "etcd/session_struct.h"

/* What waits until the answers are there, embedded in its owner, which sets READY and ARG once, the rest zero. */
struct cluster_waiter {
	void (*ready)(void *arg);
	void *arg;
	bool waiting;
	TAILQ_ENTRY(cluster_waiter) link;
};

struct cluster;

/* NULL when memory is short. */
struct cluster *cluster_new(struct session *session);

/* No waiter may be left. NULL is fine. */
void cluster_free(struct cluster *cluster);

/* Ask the endpoints that have not said yet of which cluster they are, but the current one, which is asked other things
 * anyway. Harmless while they are being asked. ANEW: what was said more than some seconds ago
 * does not count. */
void cluster_probe(struct cluster *cluster, bool anew);

/* What the endpoints have said might not be true any more: ask all of them at the next ANEW. */
void cluster_forget(struct cluster *cluster);

/* True where WAITER is to wait for an answer, for some 250 ms at most: then it is called once, from the loop. */
bool cluster_wait(struct cluster *cluster, struct cluster_waiter *waiter);
void cluster_stop_waiting(struct cluster *cluster, struct cluster_waiter *waiter);

/* Two endpoints that are of different clusters: a sentence that names both into TEXT, and true. */
bool cluster_is_split(const struct cluster *cluster, char *text, size_t size);

#endif
