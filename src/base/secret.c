#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A page on every machine, or less. */
#define ROOM ((size_t)4096)

char *
secret_new(const char *text, size_t len)
{
	char *secret;

	if (len > SECRET_MAX) {
		errno = EMSGSIZE;
		return NULL;
	}
	secret = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (secret == MAP_FAILED) {
		errno = ENOMEM;
		return NULL;
	}
	/* Kernels without either are rare, and a secret that may be swapped out is better than none. */
	(void)madvise(secret, ROOM, MADV_DONTDUMP);
	(void)mlock(secret, ROOM);
	memcpy(secret, text, len);
	return secret;
}

void
secret_free(char *secret)
{
	if (secret == NULL)
		return;
	explicit_bzero(secret, ROOM);
	munmap(secret, ROOM);
}

char *
secret_copy(const char *secret)
{
	return secret == NULL ? NULL : secret_new(secret, strlen(secret));
}

void
secret_wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}
