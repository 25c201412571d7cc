#include "child/environment.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Takes CHANGE; NULL: there was no memory for it. */
static void
add(struct environment *environment, char *change)
{
	if (change != NULL && environment->count < ENVIRONMENT_CHANGES) {
		environment->changes[environment->count++] = change;
		return;
	}
	environment->failed = true;
	free(change);
}

void
environment_set(struct environment *environment, const char *format, ...)
{
	va_list arguments;
	char *change;

	va_start(arguments, format);
	if (vasprintf(&change, format, arguments) == -1)
		change = NULL;
	va_end(arguments);
	add(environment, change);
}

void
environment_set_pid(struct environment *environment, const char *name)
{
	environment_set(environment, "%s=", name);
	environment->own_pid = true;
}

void
environment_free(struct environment *environment)
{
	while (environment->count > 0)
		free(environment->changes[--environment->count]);
	*environment = (struct environment){ 0 };
}

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
environment_block(char *const changes[], size_t count)
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
