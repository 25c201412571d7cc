#include "child/environment.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
is_changed(const char *entry, char *const changes[], size_t count)
{
	size_t len = strcspn(entry, "=");

	for (size_t i = 0; i < count; i++)
		if (strcspn(changes[i], "=") == len && strncmp(entry, changes[i], len) == 0)
			return true;
	return false;
}

char **
environment_new(char *const changes[], size_t count)
{
	size_t old = 0, at = 0;
	char **ours = environ, **list;

	while (ours != NULL && ours[old] != NULL)
		old++;
	list = calloc(count + old + 1, sizeof(*list));
	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (strchr(changes[i], '=') != NULL)
			list[at++] = changes[i];
	for (size_t i = 0; i < old; i++)
		if (!is_changed(ours[i], changes, count))
			list[at++] = ours[i];
	return list;
}
