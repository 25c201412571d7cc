/* How https is spoken: the files are PEM, as etcdctl has them, and are read again for each new connection, so that
 * those that are renewed on disk are taken up. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <curl/curl.h>
#include <stdbool.h>

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

/* Have EASY speak TLS like that; TLS must last as long as it. */
__attribute__((warn_unused_result)) CURLcode tls_apply(const struct tls *tls, CURL *easy);

/* True where something was set that is only about TLS: who sets it wants it spoken. */
bool tls_is_set(const struct tls *tls);

#endif
