#include "net/avoid.h"

#include <arpa/inet.h>
#include <string.h>

/* A server that is restarted or thaws is back within seconds. */
#define AVOID_FOR (10 * NSEC_PER_SEC)

void
avoid_text(const struct sockaddr *address, avoid_address text)
{
	const void *bytes = NULL;

	text[0] = '\0';
	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (bytes == NULL || inet_ntop(address->sa_family, bytes, text, sizeof(avoid_address)) == NULL)
		text[0] = '\0';
}

void
avoid_add(struct avoid *avoid, const avoid_address address)
{
	size_t at = avoid->next;

	if (address[0] == '\0')
		return;
	for (size_t i = 0; i < AVOID_ADDRESSES; i++)
		if (strcmp(avoid->list[i].address, address) == 0)
			at = i;
	if (at == avoid->next)
		avoid->next = (avoid->next + 1) % AVOID_ADDRESSES;
	strcpy(avoid->list[at].address, address);
	avoid->list[at].until = clock_add(clock_now(), AVOID_FOR);
}

bool
avoid_any(const struct avoid *avoid)
{
	for (size_t i = 0; !avoid->single && i < AVOID_ADDRESSES; i++)
		if (avoid->list[i].address[0] != '\0' && avoid->list[i].until > clock_now())
			return true;
	return false;
}

bool
avoid_has(const struct avoid *avoid, const avoid_address address)
{
	for (size_t i = 0; i < AVOID_ADDRESSES; i++)
		if (address[0] != '\0' && strcmp(avoid->list[i].address, address) == 0)
			return avoid->list[i].until > clock_now();
	return false;
}
