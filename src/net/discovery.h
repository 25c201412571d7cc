/* Endpoints from DNS SRV records, looked up in a thread: a name server that is silent must not hold up a loop. */
#ifndef NET_DISCOVERY_H
#define NET_DISCOVERY_H

#include "base/loop.h"
#include "net/srv.h"

struct discovery;

/* FOUND is called from the loop for each look-up that has ended. NULL when memory is short. ONLY_HTTPS as in
 * srv_lookup(). */
struct discovery *discovery_new(struct loop *loop, const char *domain, bool only_https,
    void (*found)(void *arg, const struct srv_answer *answer), void *arg);

/* A look-up under way ends by itself, unheard. NULL is fine. */
void discovery_free(struct discovery *discovery);

/* Look again, unless that is being done, or was a second ago: then a little later. */
void discovery_look(struct discovery *discovery);

#endif
