#include "etcdlocker/node.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* nvm's, fnm's, asdf's and others' versions, of which the last one by name is taken, and packages'. */
static const char *const homes[] = { ".nvm/versions/node/*/bin/node",
	".local/share/fnm/node-versions/*/installation/bin/node", ".asdf/installs/nodejs/*/bin/node", ".volta/bin/node",
	"n/bin/node", ".local/bin/node" };
static const char *const places[] = { "/usr/local/bin/node", "/usr/bin/node", "/usr/bin/nodejs", "/opt/node/bin/node",
	"/snap/bin/node" };

static bool
is_in_path(void)
{
	const char *path = getenv("PATH"), *end;
	char file[4096];

	for (; path != NULL && *path != '\0'; path = *end == '\0' ? end : end + 1) {
		end = path + strcspn(path, ":");
		snprintf(file, sizeof(file), "%.*s/node", (int)(end - path), path);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

/* The last match of PATTERN below the home directory. */
static bool
find_at_home(const char *pattern, char *path, size_t size)
{
	const char *home = getenv("HOME");
	bool found = false;
	char whole[4096];
	glob_t matches;

	if (home == NULL || home[0] != '/')
		return false;
	snprintf(whole, sizeof(whole), "%s/%s", home, pattern);
	if (glob(whole, 0, NULL, &matches) != 0)
		return false;
	if (matches.gl_pathc > 0) {
		const char *last = matches.gl_pathv[matches.gl_pathc - 1];

		found = strlen(last) < size && access(last, X_OK) == 0;
		if (found)
			strcpy(path, last);
	}
	globfree(&matches);
	return found;
}

const char *
node_find(char *path, size_t size)
{
	const char *named = getenv("ETCD_LOCK_NODE");

	if (named != NULL && named[0] != '\0')
		return named;
	if (is_in_path())
		return "node";
	for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++)
		if (find_at_home(homes[i], path, size))
			return path;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return "node";
}
