/* A configuration from the inside: what the settings of etcdlock_config_set() amount to. */
#ifndef LOCK_CONFIG_H
#define LOCK_CONFIG_H

#include "lock/etcdlock.h"
#include "lock/timing.h"
#include "net/tls.h"

/* The settings, in the order in which variables are taken. */
enum setting_id {
	SETTING_ENDPOINTS,
	SETTING_DISCOVERY_SRV,
	SETTING_ID,
	SETTING_KEY,
	SETTING_TTL,
	SETTING_REFRESH,
	SETTING_GRACE,
	SETTING_WAIT,
	SETTING_CONNECT_TIMEOUT,
	SETTING_LOCK_DELAY,
	SETTING_RENEW,
	SETTING_API,
	SETTING_CACERT,
	SETTING_CERT,
	SETTING_CERT_KEY,
	SETTING_TLS_SERVER_NAME,
	SETTING_INSECURE_SKIP_VERIFY,
	SETTING_USER,
	SETTING_PASSWORD_FILE,
	SETTING_PASSWORD
};
#define SETTINGS (SETTING_PASSWORD + 1)

struct etcdlock_config;
struct setting;

/* Where a sentence goes that says what is wrong with a value. */
struct complaint {
	char *text;
	size_t size;
};

/* Set SETTING to VALUE. Returns 0, or -1 with errno EINVAL or ENOMEM and WHY filled. */
typedef int (*setter)(
    struct etcdlock_config *config, const struct setting *setting, const char *value, const struct complaint *why);

/* All that is to be known of a setting stands in its row; etcdlock.h and the manuals describe it, and a test compares.
 */
struct setting {
	const char *name;
	const char *variable; /* NULL: none */
	const char *etcdctl;  /* the variable of etcdctl's, which counts where nothing else is set; NULL: none */
	setter set;
	size_t text;     /* of one that is a text: where it is in struct etcdlock_config */
	size_t span;     /* of one that is a span: where it is in struct timing, an int64_t */
	int64_t unit_ms; /* in so many milliseconds; 0: it is no span */
	bool changeable; /* while a lock lives */
};

extern const struct setting config_settings[SETTINGS];

/* NULL where there is none of that name. */
const struct setting *config_setting(const char *name);

struct etcdlock_config {
	char *endpoints, *key; /* KEY is NULL until it is set */
	char *id;              /* NULL until it is set: see etcdlock_config_id() */
	char *host;            /* the host's name */
	char *v2_id;           /* and the id that goes with it where etcd-lock 1.x might be about */
	char *discovery_srv;   /* a domain, whose SRV records say where etcd is; NULL: ENDPOINTS do */
	char *user;            /* NULL: nobody */
	char *password;        /* a secret; NULL: none yet */
	char *password_file;   /* that it is from, and where it may change; or NULL */
	struct tls tls;
	struct timing timing; /* as asked for */
	enum renewal renewal;
	bool v2;              /* etcd's API; else v3 */
	bool given[SETTINGS]; /* set by hand */
};

#endif
