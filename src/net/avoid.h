/* The addresses of one server name that did not serve lately. A name can have several, one for each member of a
 * cluster: where one of them takes connections and does not answer, the next connection is to go to another. */
#ifndef NET_AVOID_H
#define NET_AVOID_H

#include "base/clock.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Remembered at a time; more are as good as unknown. */
#define AVOID_ADDRESSES 8

/* An address as text, without its port; "" for none. */
typedef char avoid_address[INET6_ADDRSTRLEN];

/* Zero it. */
struct avoid {
	bool single; /* there is but one, which cannot be avoided */
	struct {
		avoid_address address;
		nsec until;
	} list[AVOID_ADDRESSES];
	size_t next;
};

/* ADDRESS without its port; "" where it is not of the internet. */
void avoid_text(const struct sockaddr *address, avoid_address text);

/* ADDRESS has not served: it is avoided for some seconds. */
void avoid_add(struct avoid *avoid, const avoid_address address);

/* True where any address is to be avoided now. */
bool avoid_any(const struct avoid *avoid);

bool avoid_has(const struct avoid *avoid, const avoid_address address);

#endif
