/* Settings by name, as text: from a command line, an environment or a program. */
#include "lock/config.h"

#include "base/duration.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "lock/password_file.h"
#include "net/endpoints.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a sentence goes that says what is wrong. */
struct complaint {
	char *text;
	size_t size;
};

/* Returns 0, or -1 with errno EINVAL or ENOMEM and WHY filled. */
typedef int (*setter)(struct etcdlock_config *config, const char *value, const struct complaint *why);

struct setting {
	const char *name, *variable;
	const char *etcdctl; /* the variable of etcdctl's, which counts where nothing else is set */
	setter set;
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
	struct endpoints *parsed = endpoints_parse(value, &config->tls, wrong);

	if (parsed == NULL)
		return complain(why, "%s", wrong);
	endpoints_free(parsed);
	return set_text(&config->endpoints, value, why);
}

static int
set_discovery(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	if (value[0] == '\0' || value[0] == '.' || strlen(value) > 200 || value[strspn(value, good)] != '\0')
		return complain(why, "'%.64s' is no domain, such as example.org", value);
	return set_text(&config->discovery_srv, value, why);
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
	const char *wrong;
	nsec span = 0;
	int parsed = duration_parse(value, &span, &wrong);

	/* Where it is no duration at all, those that it could be are not all good either. */
	if (parsed == -1 && strncmp(wrong, "not", 3) != 0)
		return complain(why, "'%.64s' is %s", value, wrong);
	if (parsed == -1 || span % NSEC_PER_SEC != 0 || span == 0)
		return complain(why,
		    "'%.64s' is not a whole number of seconds, 1 or more, as etcd's leases are; 60, 2m and 1h work",
		    value);
	config->timing.ttl_s = span / NSEC_PER_SEC;
	return 0;
}

static int
set_refresh(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	/* 0 is half the TTL, as etcd-lock 1.x has it. */
	return parse_ms(value, &config->timing.refresh_ms, why);
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
		return complain(why, "'%.64s' leaves no time to connect; 30s is the default", value);
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

static int
set_password(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	char *password;

	if (value[0] == '\0')
		return complain(why, "the password is empty, and etcd takes none that is");
	password = secret_new(value, strlen(value));
	if (password == NULL && errno == EMSGSIZE)
		return complain(why, "the password has more than %zu bytes", SECRET_MAX);
	if (password == NULL)
		return no_memory(why);
	secret_free(config->password);
	config->password = password;
	free(config->password_file);
	config->password_file = NULL;
	return 0;
}

/* The name of NAME or NAME:PASSWORD. */
static int
set_user_name(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	char *name = strndup(value, strcspn(value, ":"));
	int result = -1;

	if (name == NULL)
		no_memory(why);
	else if (name[0] == '\0')
		complain(why,
		    value[0] == ':' ? "there is no name before the ':'; NAME works"
				    : "the user's name is empty; NAME works");
	else
		result = set_text(&config->user, name, why);
	free(name);
	return result;
}

static int
set_user(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	const char *colon = strchr(value, ':');

	if (set_user_name(config, value, why) == -1)
		return -1;
	return colon == NULL ? 0 : set_password(config, colon + 1, why);
}

/* PATH as it is from anywhere: whoever set it may go elsewhere later. What it leads to is not looked up: a link may
 * lead elsewhere later, too, which is how certificates are renewed. */
static int
set_path(char **field, const char *path, const struct complaint *why)
{
	char *here = path[0] == '/' ? NULL : getcwd(NULL, 0), *whole;
	int result;

	/* Where there is no such place any more, it is left as it is. */
	whole = here == NULL ? NULL : str_printf("%s/%s", here, path);
	result = here != NULL && whole == NULL ? no_memory(why) : set_text(field, whole == NULL ? path : whole, why);
	free(here);
	free(whole);
	return result;
}

static int
set_password_file(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	const char *wrong;
	char *password = password_file_read(value, false, &wrong);
	struct stat about;

	if (password == NULL)
		return complain(why, "no password in '%.100s': %s", value, wrong);
	secret_free(config->password);
	config->password = password;
	free(config->password_file);
	config->password_file = NULL;
	/* A pipe can be read but once. */
	if (stat(value, &about) == 0 && S_ISREG(about.st_mode))
		return set_path(&config->password_file, value, why);
	return 0;
}

static int
set_readable(char **field, const char *value, const struct complaint *why)
{
	if (access(value, R_OK) == -1)
		return complain(why, "cannot read '%.150s': %s", value, strerror(errno));
	return set_path(field, value, why);
}

static int
set_cacert(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	return set_readable(&config->tls.cacert, value, why);
}

static int
set_cert(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	return set_readable(&config->tls.cert, value, why);
}

static int
set_cert_key(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	return set_readable(&config->tls.cert_key, value, why);
}

static int
set_server_name(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	if (value[0] == '\0' || value[strspn(value, good)] != '\0')
		return complain(why, "'%.64s' is not a host name, as certificates have it", value);
	return set_text(&config->tls.server_name, value, why);
}

static int
set_insecure(struct etcdlock_config *config, const char *value, const struct complaint *why)
{
	bool yes = value[0] == '\0' || strcmp(value, "yes") == 0;

	if (!yes && strcmp(value, "no") != 0)
		return complain(why, "'%.64s' is neither yes nor no", value);
	config->tls.insecure = yes;
	return 0;
}

static const struct setting settings[CONFIG_SETTINGS] = {
	{ "endpoints", "ETCD_LOCK_HOST", "ETCDCTL_ENDPOINTS", set_endpoints },
	{ "discovery-srv", "ETCD_LOCK_DISCOVERY_SRV", "ETCDCTL_DISCOVERY_SRV", set_discovery },
	{ "id", "ETCD_LOCK_ID", NULL, set_id },
	{ "key", "ETCD_LOCK_KEY", NULL, set_key },
	{ "ttl", "ETCD_LOCK_TTL", NULL, set_ttl },
	{ "refresh", "ETCD_LOCK_REFRESH", NULL, set_refresh },
	{ "wait", NULL, NULL, set_wait },
	{ "connect-timeout", NULL, NULL, set_connect_timeout },
	{ "grace", NULL, NULL, set_grace },
	{ "lock-delay", NULL, NULL, set_lock_delay },
	{ "renew", NULL, NULL, set_renew },
	{ "api", "ETCD_LOCK_API", NULL, set_api },
	{ "cacert", "ETCD_LOCK_CACERT", "ETCDCTL_CACERT", set_cacert },
	{ "cert", "ETCD_LOCK_CERT", "ETCDCTL_CERT", set_cert },
	{ "cert-key", "ETCD_LOCK_CERT_KEY", "ETCDCTL_KEY", set_cert_key },
	{ "tls-server-name", "ETCD_LOCK_TLS_SERVER_NAME", NULL, set_server_name },
	{ "insecure-skip-verify", NULL, NULL, set_insecure },
	{ "user", "ETCD_LOCK_USER", "ETCDCTL_USER", set_user },
	{ "password-file", "ETCD_LOCK_PASSWORD_FILE", NULL, set_password_file },
	{ "password", "ETCD_LOCK_PASSWORD", "ETCDCTL_PASSWORD", set_password },
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
	char host[256 + sizeof("/etcdlocker")] = "";

	if (config == NULL)
		return NULL;
	timing_init(&config->timing);
	/* A host name that does not fit is still one to read. */
	if (gethostname(host, 255) == -1 || host[0] == '\0')
		strcpy(host, "unknown");
	config->endpoints = strdup("localhost:2379");
	config->host = strdup(host);
	strcat(host, "/etcdlocker");
	config->v2_id = strdup(host);
	if (config->endpoints == NULL || config->host == NULL || config->v2_id == NULL) {
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
	free(config->discovery_srv);
	free(config->key);
	free(config->id);
	free(config->host);
	free(config->v2_id);
	free(config->user);
	secret_free(config->password);
	free(config->password_file);
	tls_free(&config->tls);
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

/* How SETTING is set from a variable: NULL where what there is already counts more. A password is one thing, however it
 * comes. */
static setter
setter_of(const struct etcdlock_config *config, const struct setting *setting)
{
	if (config->password != NULL && (setting->set == set_password || setting->set == set_password_file))
		return NULL;
	return config->password != NULL && setting->set == set_user ? set_user_name : setting->set;
}

/* Takes SETTING from VARIABLE, if that is set. DONE: it was set by other means, and is now. */
static int
from_variable(struct etcdlock_config *config, const struct setting *setting, const char *variable, bool *done,
    char *why, size_t size)
{
	const char *value = variable == NULL || *done ? NULL : getenv(variable);
	setter set = setter_of(config, setting);
	char wrong[ENDPOINTS_ERROR + 64];
	struct complaint complaint = { wrong, sizeof(wrong) };
	int errnum;

	if (value == NULL || value[0] == '\0' || set == NULL)
		return 0;
	if (set(config, value, &complaint) == 0) {
		*done = true;
		return 0;
	}
	errnum = errno;
	snprintf(why, size, "variable %s: %s", variable, wrong);
	errno = errnum;
	return -1;
}

int
etcdlock_config_from_env(struct etcdlock_config *config, char *why, size_t size)
{
	bool done[CONFIG_SETTINGS];

	memcpy(done, config->given, sizeof(done));
	/* There are two ways to say where etcd is: one that was set beats the variables of both. */
	if (done[find("endpoints") - settings] || done[find("discovery-srv") - settings])
		done[find("endpoints") - settings] = done[find("discovery-srv") - settings] = true;
	for (size_t i = 0; i < CONFIG_SETTINGS; i++)
		if (from_variable(config, &settings[i], settings[i].variable, &done[i], why, size) == -1)
			return -1;
	if (done[find("endpoints") - settings] || done[find("discovery-srv") - settings])
		done[find("endpoints") - settings] = done[find("discovery-srv") - settings] = true;
	/* etcdctl's key is for etcdctl's certificate. */
	if (config->tls.cert != NULL)
		done[find("cert-key") - settings] = true;
	for (size_t i = 0; i < CONFIG_SETTINGS; i++)
		if (from_variable(config, &settings[i], settings[i].etcdctl, &done[i], why, size) == -1)
			return -1;
	return 0;
}

const char *
etcdlock_config_variable(const char *name)
{
	const struct setting *setting = find(name);

	return setting == NULL ? NULL : setting->variable;
}

const char *
etcdlock_config_wants_password(const struct etcdlock_config *config)
{
	return config->password == NULL ? config->user : NULL;
}

/* What only makes sense together. NULL, or a sentence. */
static const char *
check_pairs(const struct etcdlock_config *config)
{
	if (config->given[find("endpoints") - settings] && config->given[find("discovery-srv") - settings])
		return "there are endpoints, and a domain to find them in: set one of endpoints and discovery-srv";
	if (config->tls.cert_key != NULL && config->tls.cert == NULL)
		return "there is a key of a client certificate, but no certificate: set cert, too";
	if (config->password_file != NULL && config->user == NULL)
		return "there is a password, but no user: set user, too";
	return NULL;
}

int
etcdlock_config_check(const struct etcdlock_config *config, char *why, size_t size)
{
	struct timing timing = config->timing;
	const char *wrong = config->key == NULL ? "no key: say which lock" : check_pairs(config);

	if (wrong != NULL) {
		snprintf(why, size, "%s", wrong);
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
	if (config->id != NULL)
		return config->id;
	/* An etcd-lock 1.x takes every key whose value is its own id, which is the host's name, for its own. */
	return config->v2 ? config->v2_id : config->host;
}

const char *
etcdlock_config_user(const struct etcdlock_config *config)
{
	return config->user;
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
