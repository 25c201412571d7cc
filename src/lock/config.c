/* Settings by name, as text: from a command line, an environment or a program. */
#include "lock/config.h"

#include "base/duration.h"
#include "net/endpoints.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where a sentence goes that says what is wrong. */
struct complaint {
	char *text;
	size_t size;
};

struct setting {
	const char *name, *variable;
	/* Returns 0, or -1 with errno EINVAL or ENOMEM and WHY filled. */
	int (*set)(struct etcdlock_config *config, const char *value, const struct complaint *why);
};

/* Always -1. */
__attribute__((format(printf, 2, 3))) static int
complain(const struct complaint *why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why->text, why->size, format, arguments);
	va_end(arguments);
	errno = EINVAL;
	return -1;
}

static int
no_memory(const struct complaint *why)
{
	complain(why, "no memory");
	errno = ENOMEM;
	return -1;
}

static int
set_text(char **field, const char *value, const struct complaint *why)
{
	char *own = strdup(value);

	if (own == NULL)
		return no_memory(why);
	free(*field);
	*field = own;
	return 0;
}

static int
set_endpoints(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	char wrong[ENDPOINTS_ERROR];
	struct endpoints *parsed = endpoints_parse(value, wrong);

	if (parsed == NULL)
		return complain(why, "%s", wrong);
	endpoints_free(parsed);
	return set_text(&config->endpoints, value, why);
}

static int
set_id(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	if (value[0] == '\0')
		return complain(why, "the id is empty; any text that tells people who holds the lock will do");
	return set_text(&config->id, value, why);
}

static int
set_key(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	if (value[0] == '\0')
		return complain(why, "the key is empty; use a name such as /locks/backup");
	return set_text(&config->key, value, why);
}

static int
parse_span(const char *value, nsec *span, const struct complaint *why)
{
	const char *wrong;

	if (duration_parse(value, span, &wrong) == 0)
		return 0;
	return complain(why, "'%.64s' is %s", value, wrong);
}

static int
parse_ms(const char *value, int64_t *ms, const struct complaint *why)
{
	nsec span;

	if (parse_span(value, &span, why) == -1)
		return -1;
	/* Rounded up: half a millisecond is not nothing. */
	*ms = (span + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	return 0;
}

static int
set_ttl(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	nsec span;

	if (parse_span(value, &span, why) == -1)
		return -1;
	if (span % NSEC_PER_SEC != 0 || span == 0)
		return complain(
		    why, "'%.64s' is not a whole number of seconds, 1 or more, as etcd's leases are", value);
	config->timing.ttl_s = span / NSEC_PER_SEC;
	return 0;
}

static int
set_refresh(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	int64_t ms;

	if (parse_ms(value, &ms, why) == -1)
		return -1;
	if (ms == 0)
		return complain(why, "'%.64s' is no renewal period; half the TTL is the default", value);
	config->timing.refresh_ms = ms;
	return 0;
}

static int
set_wait(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	if (strcmp(value, "never") != 0)
		return parse_ms(value, &config->timing.wait_ms, why);
	config->timing.wait_ms = -1;
	return 0;
}

static int
set_connect_timeout(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	int64_t ms;

	if (parse_ms(value, &ms, why) == -1)
		return -1;
	if (ms == 0)
		return complain(why, "'%.64s' leaves no time to connect; 5s is the default", value);
	config->timing.connect_ms = ms;
	return 0;
}

static int
set_grace(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	return parse_ms(value, &config->timing.grace_ms, why);
}

static int
set_lock_delay(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	return parse_ms(value, &config->timing.delay_ms, why);
}

static int
set_renew(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	if (strcmp(value, "raft") == 0)
		config->renewal = RENEW_RAFT;
	else if (strcmp(value, "keepalive") == 0)
		config->renewal = RENEW_KEEPALIVE;
	else
		return complain(why, "'%.64s' is not a way to renew; raft and keepalive are", value);
	return 0;
}

static int
set_api(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	bool v2 = strcmp(value, "v2") == 0 || strcmp(value, "2") == 0;

	if (!v2 && strcmp(value, "v3") != 0 && strcmp(value, "3") != 0)
		return complain(why, "'%.64s' is not an API of etcd; v3 and v2 are", value);
	config->v2 = v2;
	return 0;
}

static const struct setting settings[CONFIG_SETTINGS] = {
	{ "endpoints", "ETCD_LOCK_HOST", set_endpoints },
	{ "id", "ETCD_LOCK_ID", set_id },
	{ "key", "ETCD_LOCK_KEY", set_key },
	{ "ttl", "ETCD_LOCK_TTL", set_ttl },
	{ "refresh", "ETCD_LOCK_REFRESH", set_refresh },
	{ "wait", NULL, set_wait },
	{ "connect-timeout", NULL, set_connect_timeout },
	{ "grace", NULL, set_grace },
	{ "lock-delay", NULL, set_lock_delay },
	{ "renew", NULL, set_renew },
	{ "api", "ETCD_LOCK_API", set_api },
};

static const struct setting *
find(const char *name)
{
	for (size_t i = 0; i < CONFIG_SETTINGS; i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

/* --- public --- */

struct etcdlock_config *
etcdlock_config_new(void)
{
	struct etcdlock_config *config = calloc(1, sizeof(*config));
	char host[256] = "";

	if (config == NULL)
		return NULL;
	timing_init(&config->timing);
	/* A host name that does not fit is still one to read. */
	if (gethostname(host, sizeof(host) - 1) == -1 || host[0] == '\0')
		strcpy(host, "unknown");
	config->endpoints = strdup("localhost:2379");
	config->id = strdup(host);
	if (config->endpoints == NULL || config->id == NULL) {
		etcdlock_config_free(config);
		errno = ENOMEM;
		return NULL;
	}
	return config;
}

void
etcdlock_config_free(struct etcdlock_config *config)
{
	if (config == NULL)
		return;
	free(config->endpoints);
	free(config->key);
	free(config->id);
	free(config);
}

int
etcdlock_config_set(struct etcdlock_config *config, const char *name, const char *value, char *why, size_t size)
{
	const struct setting *setting = find(name);
	struct complaint complaint = { why, size };

	if (setting == NULL)
		return complain(&complaint, "there is no setting '%.64s'", name);
	if (setting->set(config, value, &complaint) == -1)
		return -1;
	config->given[setting - settings] = true;
	return 0;
}

int
etcdlock_config_from_env(struct etcdlock_config *config, char *why, size_t size)
{
	char wrong[ENDPOINTS_ERROR + 64];
	struct complaint complaint = { wrong, sizeof(wrong) };

	for (size_t i = 0; i < CONFIG_SETTINGS; i++) {
		const struct setting *setting = &settings[i];
		const char *value = setting->variable == NULL || config->given[i] ? NULL : getenv(setting->variable);
		int errnum;

		if (value == NULL || value[0] == '\0' || setting->set(config, value, &complaint) == 0)
			continue;
		errnum = errno;
		snprintf(why, size, "variable %s: %s", setting->variable, wrong);
		errno = errnum;
		return -1;
	}
	return 0;
}

const char *
etcdlock_config_variable(const char *name)
{
	const struct setting *setting = find(name);

	return setting == NULL ? NULL : setting->variable;
}

int
etcdlock_config_check(const struct etcdlock_config *config, char *why, size_t size)
{
	struct timing timing = config->timing;

	if (config->key == NULL) {
		snprintf(why, size, "no key: say which lock");
		errno = EINVAL;
		return -1;
	}
	if (timing_resolve(&timing, why, size) == 0)
		return 0;
	errno = EINVAL;
	return -1;
}

const char *
etcdlock_config_key(const struct etcdlock_config *config)
{
	return config->key;
}

const char *
etcdlock_config_id(const struct etcdlock_config *config)
{
	return config->id;
}

int64_t
etcdlock_config_ms(const struct etcdlock_config *config, const char *name)
{
	struct timing timing = config->timing;
	const struct {
		const char *name;
		const int64_t *ms;
	} spans[] = { { "refresh", &timing.refresh_ms }, { "wait", &timing.wait_ms },
		{ "connect-timeout", &timing.connect_ms }, { "grace", &timing.grace_ms },
		{ "lock-delay", &timing.delay_ms } };
	char why[1];

	if (timing_resolve(&timing, why, sizeof(why)) == -1)
		return -1;
	if (strcmp(name, "ttl") == 0)
		return timing.ttl_s * 1000;
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		if (strcmp(name, spans[i].name) == 0)
			return *spans[i].ms;
	return -1;
}
