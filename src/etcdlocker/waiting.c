#include "etcdlocker/waiting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
waiting_for_parent(const struct etcdlock *lock)
{
	const char *outer = getenv("ETCD_LOCK_OWNER_KEY"), *key = etcdlock_holder_key(lock);

	return outer != NULL && key != NULL && strcmp(outer, key) == 0;
}

void
waiting_say(const struct setup *setup, const struct etcdlock *lock, bool *said)
{
	const struct options *options = setup->options;
	const char *holder = etcdlock_holder(lock);
	char by[256] = "at least";

	if (etcdlock_ahead_is_exact(lock))
		snprintf(by, sizeof(by), "held by %.200s,", holder[0] == '\0' ? "a client without an id" : holder);
	(void)service_status(
	    setup->service, "", "waiting for %.200s: %s %ld ahead of us", options->key, by, etcdlock_ahead(lock));
	if (etcdlock_config_ms(options->config, "wait") == 0 || (*said && !options->verbose && !isatty(STDERR_FILENO)))
		return;
	*said = true;
	log_msg(setup->log, LEVEL_NOTICE, "waiting for %s: %s %ld ahead of us", options->key, by, etcdlock_ahead(lock));
}
