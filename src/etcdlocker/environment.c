#include "etcdlocker/environment.h"

#include "base/strbuf.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first entries are ours, the rest is environ's. */
enum { OWN = 3 };

static const char *const own_names[OWN] = { "ETCD_LOCK_REV=", "ETCD_LOCK_OWNER_KEY=", "ETCD_LOCK_CREATE_REV=" };

static bool
is_own(const char *entry)
{
	for (size_t i = 0; i < OWN; i++)
		if (strncmp(entry, own_names[i], strlen(own_names[i])) == 0)
			return true;
	return false;
}

char **
environment_new(int64_t revision, const char *owner_key, int64_t create_revision)
{
	size_t count = 0, at = OWN;
	char **list;

	while (environ != NULL && environ[count] != NULL)
		count++;
	list = calloc(OWN + count + 1, sizeof(*list));
	if (list == NULL)
		return NULL;
	list[0] = str_printf("%s%" PRId64, own_names[0], revision);
	list[1] = str_printf("%s%s", own_names[1], owner_key);
	list[2] = str_printf("%s%" PRId64, own_names[2], create_revision);
	for (size_t i = 0; i < count; i++)
		if (!is_own(environ[i]))
			list[at++] = environ[i];
	if (list[0] != NULL && list[1] != NULL && list[2] != NULL)
		return list;
	environment_free(list);
	return NULL;
}

void
environment_free(char **environment)
{
	for (size_t i = 0; environment != NULL && i < OWN; i++)
		free(environment[i]);
	free(environment);
}
