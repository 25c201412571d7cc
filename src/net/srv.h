/* DNS SRV records (RFC 2782) of a domain's etcd, as etcdctl looks for them: _etcd-client-ssl._tcp, whose targets speak
 * https, and _etcd-client._tcp. */
#ifndef NET_SRV_H
#define NET_SRV_H

#include <stdbool.h>
#include <stddef.h>

/* So many targets are taken; a cluster has 3 to 7 members. */
#define SRV_TARGETS 16

struct srv_target {
	char host[256]; /* without the dot at its end */
	unsigned short port;
};

struct srv_answer {
	struct srv_target targets[SRV_TARGETS];
	size_t count;
	bool https;
	char error[320]; /* where there is none: why */
};

/* Ask for DOMAIN's, those of https first: where there are some, the others do not count. ONLY_HTTPS: they never do. The
 * resolver is that of resolv.conf(5), and blocks for seconds where it is silent: for a thread of its own. */
void srv_lookup(const char *domain, bool only_https, struct srv_answer *answer);

#endif
