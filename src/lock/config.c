/* Settings by name, as text: from a command line, an environment or a program. */
#include "lock/config.h"

#include "base/duration.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "etcd/password_file.h"
#include "net/endpoints.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
set_endpoints(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	char wrong[ENDPOINTS_ERROR];
	struct endpoints *parsed = endpoints_parse(value, &config->tls, wrong);

	(void)setting;
	if (parsed == NULL)
		return complain(why, "%s", wrong);
	endpoints_free(parsed);
	return set_text(&config->endpoints, value, why);
}

static int
set_discovery(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	(void)setting;
	if (value[0] == '\0' || value[0] == '.' || strlen(value) > 200 || value[strspn(value, good)] != '\0')
		return complain(why, "'%.64s' is no domain, such as example.org", value);
	return set_text(&config->discovery_srv, value, why);
}

static char **
text_of(struct etcdlock_config *config, const struct setting *setting)
{
	return (char **)(void *)((char *)config + setting->text);
}

static int
set_name(struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	if (value[0] == '\0')
		return complain(why, "the %s is empty; %s", setting->name,
		    setting == &config_settings[SETTING_KEY] ? "use a name such as /locks/backup"
							     : "any text that tells people who holds the lock will do");
	return set_text(text_of(config, setting), value, why);
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

/* For a refresh period 0 is half the TTL, as etcd-lock 1.x has it. */
static int
set_span(struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	return parse_ms(value, (int64_t *)(void *)((char *)&config->timing + setting->span), why);
}

static int
set_ttl(struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	const char *wrong;
	nsec span = 0;
	int parsed = duration_parse(value, &span, &wrong);

	(void)setting;
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
set_wait(struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	(void)setting;
	if (strcmp(value, "never") != 0)
		return parse_ms(value, &config->timing.wait_ms, why);
	config->timing.wait_ms = -1;
	return 0;
}

static int
set_connect_timeout(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	int64_t ms;

	(void)setting;
	if (parse_ms(value, &ms, why) == -1)
		return -1;
	if (ms == 0)
		return complain(why, "'%.64s' leaves no time to connect; 30s is the default", value);
	config->timing.connect_ms = ms;
	return 0;
}

static int
set_renew(struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	(void)setting;
	if (strcmp(value, "raft") == 0)
		config->renewal = RENEW_RAFT;
	else if (strcmp(value, "keepalive") == 0)
		config->renewal = RENEW_KEEPALIVE;
	else
		return complain(why, "'%.64s' is not a way to renew; raft and keepalive are", value);
	return 0;
}

static int
set_api(struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	bool v2 = strcmp(value, "v2") == 0 || strcmp(value, "2") == 0;

	(void)setting;
	if (!v2 && strcmp(value, "v3") != 0 && strcmp(value, "3") != 0)
		return complain(why, "'%.64s' is not an API of etcd; v3 and v2 are", value);
	config->v2 = v2;
	return 0;
}

static int
set_password(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	char *password;

	(void)setting;
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
set_user_name(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	char *name = strndup(value, strcspn(value, ":"));
	int result = -1;

	(void)setting;
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
set_user(struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	const char *colon = strchr(value, ':');

	if (set_user_name(config, setting, value, why) == -1)
		return -1;
	return colon == NULL ? 0 : set_password(config, setting, colon + 1, why);
}

/* PATH as it is from anywhere: the program can change its directory later. What it leads to is not looked up: a link
 * may lead elsewhere later, too, which is how certificates are renewed. */
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
set_password_file(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	const char *wrong;
	char *password = password_file_read(value, false, &wrong);
	struct stat about;

	(void)setting;
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
set_readable(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	if (access(value, R_OK) == -1)
		return complain(why, "cannot read '%.150s': %s", value, strerror(errno));
	return set_path(text_of(config, setting), value, why);
}

static int
set_server_name(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	(void)setting;
	if (value[0] == '\0' || value[strspn(value, good)] != '\0')
		return complain(why, "'%.64s' is not a host name, as certificates have it", value);
	return set_text(&config->tls.server_name, value, why);
}

static int
set_insecure(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why)
{
	bool yes = value[0] == '\0' || strcmp(value, "yes") == 0;

	(void)setting;
	if (!yes && strcmp(value, "no") != 0)
		return complain(why, "'%.64s' is neither yes nor no", value);
	config->tls.insecure = yes;
	return 0;
}

#define TEXT(member) .text = offsetof(struct etcdlock_config, member)
#define SPAN(member, unit) .span = offsetof(struct timing, member), .unit_ms = (unit)

const struct setting config_settings[SETTINGS] = {
	[SETTING_ENDPOINTS] = { .name = "endpoints",
	    .variable = "ETCD_LOCK_HOST",
	    .etcdctl = "ETCDCTL_ENDPOINTS",
	    .set = set_endpoints },
	[SETTING_DISCOVERY_SRV] = { .name = "discovery-srv",
	    .variable = "ETCD_LOCK_DISCOVERY_SRV",
	    .etcdctl = "ETCDCTL_DISCOVERY_SRV",
	    .set = set_discovery },
	[SETTING_ID] = { .name = "id", .variable = "ETCD_LOCK_ID", .set = set_name, TEXT(id) },
	[SETTING_KEY] = { .name = "key", .variable = "ETCD_LOCK_KEY", .set = set_name, TEXT(key) },
	[SETTING_TTL] = { .name = "ttl",
	    .variable = "ETCD_LOCK_TTL",
	    .set = set_ttl,
	    SPAN(ttl_s, 1000),
	    .changeable = true },
	[SETTING_REFRESH] = { .name = "refresh",
	    .variable = "ETCD_LOCK_REFRESH",
	    .set = set_span,
	    SPAN(refresh_ms, 1),
	    .changeable = true },
	[SETTING_GRACE] = { .name = "grace", .set = set_span, SPAN(grace_ms, 1), .changeable = true },
	[SETTING_WAIT] = { .name = "wait", .set = set_wait, SPAN(wait_ms, 1), .changeable = true },
	[SETTING_CONNECT_TIMEOUT] = { .name = "connect-timeout", .set = set_connect_timeout, SPAN(connect_ms, 1) },
	[SETTING_LOCK_DELAY] = { .name = "lock-delay", .set = set_span, SPAN(delay_ms, 1), .changeable = true },
	[SETTING_RENEW] = { .name = "renew", .set = set_renew },
	[SETTING_API] = { .name = "api", .variable = "ETCD_LOCK_API", .set = set_api },
	[SETTING_CACERT] = { .name = "cacert",
	    .variable = "ETCD_LOCK_CACERT",
	    .etcdctl = "ETCDCTL_CACERT",
	    .set = set_readable,
	    TEXT(tls.cacert) },
	[SETTING_CERT] = { .name = "cert",
	    .variable = "ETCD_LOCK_CERT",
	    .etcdctl = "ETCDCTL_CERT",
	    .set = set_readable,
	    TEXT(tls.cert) },
	[SETTING_CERT_KEY] = { .name = "cert-key",
	    .variable = "ETCD_LOCK_CERT_KEY",
	    .etcdctl = "ETCDCTL_KEY",
	    .set = set_readable,
	    TEXT(tls.cert_key) },
	[SETTING_TLS_SERVER_NAME] = { .name = "tls-server-name",
	    .variable = "ETCD_LOCK_TLS_SERVER_NAME",
	    .set = set_server_name },
	[SETTING_INSECURE_SKIP_VERIFY] = { .name = "insecure-skip-verify", .set = set_insecure },
	[SETTING_USER] = { .name = "user", .variable = "ETCD_LOCK_USER", .etcdctl = "ETCDCTL_USER", .set = set_user },
	[SETTING_PASSWORD_FILE] = { .name = "password-file",
	    .variable = "ETCD_LOCK_PASSWORD_FILE",
	    .set = set_password_file },
	[SETTING_PASSWORD] = { .name = "password",
	    .variable = "ETCD_LOCK_PASSWORD",
	    .etcdctl = "ETCDCTL_PASSWORD",
	    .set = set_password },
};

const struct setting *
config_setting(const char *name)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(config_settings[i].name, name) == 0)
			return &config_settings[i];
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
	const struct setting *setting = config_setting(name);
	struct complaint complaint = { why, size };

	if (setting == NULL)
		return complain(&complaint, "there is no setting '%.64s'", name);
	if (setting->set(config, setting, value, &complaint) == -1)
		return -1;
	config->given[setting - config_settings] = true;
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
	if (set(config, setting, value, &complaint) == 0) {
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
	bool done[SETTINGS];

	memcpy(done, config->given, sizeof(done));
	/* There are two ways to say where etcd is: where either was set by hand, the variables of both count no more.
	 */
	if (done[SETTING_ENDPOINTS] || done[SETTING_DISCOVERY_SRV])
		done[SETTING_ENDPOINTS] = done[SETTING_DISCOVERY_SRV] = true;
	for (size_t i = 0; i < SETTINGS; i++)
		if (from_variable(config, &config_settings[i], config_settings[i].variable, &done[i], why, size) == -1)
			return -1;
	if (done[SETTING_ENDPOINTS] || done[SETTING_DISCOVERY_SRV])
		done[SETTING_ENDPOINTS] = done[SETTING_DISCOVERY_SRV] = true;
	/* etcdctl's key is for etcdctl's certificate. */
	if (config->tls.cert != NULL)
		done[SETTING_CERT_KEY] = true;
	for (size_t i = 0; i < SETTINGS; i++)
		if (from_variable(config, &config_settings[i], config_settings[i].etcdctl, &done[i], why, size) == -1)
			return -1;
	return 0;
}

const char *
etcdlock_config_variable(const char *name)
{
	const struct setting *setting = config_setting(name);

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
	if (config->given[SETTING_ENDPOINTS] && config->given[SETTING_DISCOVERY_SRV])
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
	const struct setting *setting = config_setting(name);
	struct timing timing = config->timing;
	char why[1];
	int64_t span;

	if (timing_resolve(&timing, why, sizeof(why)) == -1 || setting == NULL || setting->unit_ms == 0)
		return -1;
	memcpy(&span, (const char *)&timing + setting->span, sizeof(span));
	return span < 0 ? -1 : span * setting->unit_ms;
}
