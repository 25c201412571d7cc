/* How https is spoken: the files are PEM, as etcdctl has them, and are read again once they have changed, so that those
 * that are renewed on disk are taken up by the next connection. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/clock.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <sys/stat.h>

struct tls {
	char *cacert; /* who might have signed the servers' certificates; NULL: those of SSL_CERT_FILE and SSL_CERT_DIR,
		       * or that the system trusts */
	char *cert;   /* ours; NULL: none */
	char *cert_key;    /* its key; NULL: in the file CERT */
	char *server_name; /* what the servers' certificates are issued to; NULL: each one's host */
	bool insecure;     /* certificates are not checked */
};

/* A copy of FROM into TO. 0, or -1 when memory is short. Free it in any case. */
__attribute__((warn_unused_result)) int tls_copy(struct tls *to, const struct tls *from);

void tls_free(struct tls *tls);

#define TLS_FILES 3

/* One who speaks it: what is set, and the files as they were when they were looked at last. */
struct tls_user {
	struct tls set;
	char *authorities, *directory; /* a file and a directory; NULL: none. No file either: those of libcurl */
	bool of_system;                /* they are whom the system trusts: it has a directory as well, */
	bool everywhere;               /* and that is to be asked, too */
	struct stat seen[TLS_FILES];
	nsec changed;      /* when one was last found changed, and it is to be read once more; 0: it is not */
	unsigned spelling; /* of the files' names: another one when a file has changed */
};

/* Begin with a copy of TLS, NULL: nothing is set; which authorities count is decided here. 0, or -1 when memory is
 * short. Free it in any case. */
__attribute__((warn_unused_result)) int tls_begin(struct tls_user *user, const struct tls *tls);

void tls_end(struct tls_user *user);

/* Have EASY speak TLS like that; USER must last as long as it. */
__attribute__((warn_unused_result)) CURLcode tls_apply(struct tls_user *user, CURL *easy);

/* Libcurl does not trust who has signed a server's certificate: from now on the system's directory is asked as well.
 * (libcurl remembers what it has read of a file, and reads it anew for each connection where it has a directory, too.)
 */
void tls_distrusted(struct tls_user *user);

/* True where something was set that is only about TLS: who sets it wants it spoken. */
bool tls_is_set(const struct tls *tls);

#endif
