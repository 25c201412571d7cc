#include "etcdlocker/hints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* True where WORD is one of the values in ARGUMENT, "[=A|B]". */
static bool
is_value(const char *argument, const char *word)
{
	const char *value = argument + strlen("[=");
	size_t len;

	for (; *value != '\0'; value += len + 1) {
		len = strcspn(value, "|]");
		if (len > 0 && strlen(word) == len && strncmp(value, word, len) == 0)
			return true;
	}
	return false;
}

bool
hint_value_apart(const char *name, const char *argument, char *const *words, char why[OPTIONS_WHY])
{
	const char *word = words[0];

	if (word == NULL)
		return false;
	if (argument != NULL && argument[0] == '[' && is_value(argument, word)) {
		snprintf(why, OPTIONS_WHY,
		    "'%s' would be the command: a value of --%s is part of its word, as in --%s=%s", word, name, name,
		    word);
		return true;
	}
	/* A command of that name is not followed by "--". */
	if (argument == NULL && (strcmp(word, "true") == 0 || strcmp(word, "false") == 0) && words[1] != NULL &&
	    strcmp(words[1], "--") == 0) {
		snprintf(why, OPTIONS_WHY, "option --%s takes no value: leave '%s' out", name, word);
		return true;
	}
	return false;
}

void
hint_no_key(char *const *words, char why[OPTIONS_WHY])
{
	for (char *const *word = words; *word != NULL; word++) {
		if (strcmp(*word, "-k") != 0 && strncmp(*word, "--key", strlen("--key")) != 0)
			continue;
		snprintf(why, OPTIONS_WHY,
		    "no key: %s stands behind the command, which begins at '%.64s', and so is the command's; put it before",
		    *word, words[0]);
		return;
	}
	snprintf(why, OPTIONS_WHY, "no key: say which lock with -k KEY or ETCD_LOCK_KEY");
}

/* KEY/<lease in hex>, as both programs name a holder's own key. */
static bool
is_owner_key(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash != NULL && strlen(slash + 1) >= 8 && slash[1 + strspn(slash + 1, "0123456789abcdef")] == '\0';
}

bool
hint_key_of_parent(const char *key, char why[OPTIONS_WHY])
{
	const char *outer = getenv("ETCD_LOCK_OWNER_KEY");
	size_t len = strlen(key);

	/* With the v2 API a holder's own key is the lock's. */
	if (outer != NULL && strncmp(outer, key, len) == 0 && (outer[len] == '/' || outer[len] == '\0')) {
		snprintf(why, OPTIONS_WHY,
		    "no key: ETCD_LOCK_KEY=%.200s is the lock that the etcdlocker around us holds; say with -k which one is "
		    "wanted here",
		    key);
		return true;
	}
	if (outer == NULL && getenv("ETCD_LOCK_REV") != NULL && is_owner_key(key)) {
		snprintf(why, OPTIONS_WHY,
		    "no key: ETCD_LOCK_KEY=%.200s is what \"etcdctl lock\" around us tells of its own; say with -k which lock is "
		    "wanted here",
		    key);
		return true;
	}
	return false;
}
