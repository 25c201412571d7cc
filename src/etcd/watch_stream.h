/* The watch streams of a client: etcd's /v3/watch, shared.
 *
 * A stream takes all its watches with its request, and over HTTP/1.1 none can be added later. So watchers that want one
 * at the same time get one together, and a small stream is given up for a larger one that has its watchers as well: N
 * watchers have some log N streams, and each of them is moved log N times. A watcher that is moved goes on from the
 * revision that it has seen, and misses nothing.
 *
 * The format: etcd's rpc.proto, WatchRequest and WatchResponse, as JSON objects one behind the other. */
#ifndef ETCD_WATCH_STREAM_H
#define ETCD_WATCH_STREAM_H

#include "base/queue.h"
#include "etcd/session_struct.h"

#include <jansson.h>
#include <stdbool.h>

struct watch_stream;

/* Watches that one watcher can ask for at a time. */
#define WATCHER_WATCHES 2

/* What is told of watches, embedded in its owner, which sets the functions and ARG once, the rest zero. */
struct watcher {
	/* The create requests of all the watches that are wanted now, a JSON object each: up to WATCHER_WATCHES new
	 * strings into REQUESTS. Returns how many; 0 where memory is short. */
	size_t (*encode)(void *arg, char *requests[WATCHER_WATCHES]);
	/* One message about these watches: "result" with "created", "canceled" or events. It is called from inside the
	 * stream: it notes what it is told, and opens and closes no watcher. */
	void (*on_message)(void *arg, const json_t *message);
	/* The stream is over, for the reason WHY; the watcher is closed. The same holds. */
	void (*on_failed)(void *arg, const char *why);
	void *arg;

	struct watch_stream *stream;     /* that it is on; NULL: none */
	struct watch_streams *waits_for; /* those where it waits for one; NULL: it does not */
	TAILQ_ENTRY(watcher) link;
};

/* The streams of SESSION, whose loop, connections and endpoints they use. NULL when memory is short. */
struct watch_streams *watch_streams_new(struct session *session);

/* Every watcher must have been closed. NULL is fine. */
void watch_streams_free(struct watch_streams *streams);

/* Have WATCHER on a stream, a new one where it is on one already. It is asked for its requests from the loop. */
void watcher_open(struct watch_streams *streams, struct watcher *watcher);

/* Nothing is told any more. Harmless where it is closed. */
void watcher_close(struct watcher *watcher);

/* Where its stream comes from; NULL: it is on none. */
struct endpoint *watcher_endpoint(const struct watcher *watcher);

#endif
