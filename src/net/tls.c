#include "net/tls.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *
copy(const char *text, bool *good)
{
	char *own = text == NULL ? NULL : strdup(text);

	*good = *good && (text == NULL || own != NULL);
	return own;
}

int
tls_copy(struct tls *to, const struct tls *from)
{
	bool good = true;

	*to = (struct tls){
		.cacert = copy(from->cacert, &good),
		.cert = copy(from->cert, &good),
		.cert_key = copy(from->cert_key, &good),
		.server_name = copy(from->server_name, &good),
		.insecure = from->insecure,
	};
	return good ? 0 : -1;
}

void
tls_free(struct tls *tls)
{
	free(tls->cacert);
	free(tls->cert);
	free(tls->cert_key);
	free(tls->server_name);
	*tls = (struct tls){ 0 };
}

bool
tls_is_set(const struct tls *tls)
{
	return tls->cacert != NULL || tls->cert != NULL || tls->server_name != NULL || tls->insecure;
}

/* The file of the authorities that the system trusts, where it is not where this libcurl looks for it, which was built
 * for another system; else NULL. */
static const char *
find_bundle(void)
{
#if LIBCURL_VERSION_NUM >= 0x075400
	/* Debian and Alpine, Red Hat, SUSE, and whoever follows OpenBSD. */
	static const char *const usual[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
	const char *built_in = curl_version_info(CURLVERSION_NOW)->cainfo;

	if (built_in == NULL || access(built_in, R_OK) == 0)
		return NULL;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (access(usual[i], R_OK) == 0)
			return usual[i];
#endif
	return NULL;
}

/* What the environment says, as OpenSSL's own programs have it; "" is nothing. */
static const char *
named(const char *variable)
{
	const char *value = getenv(variable);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

static CURLcode
apply_authorities(const struct tls *tls, CURL *easy)
{
	const char *file = tls->cacert != NULL ? tls->cacert : named("SSL_CERT_FILE");
	const char *directory = tls->cacert != NULL ? NULL : named("SSL_CERT_DIR");
	CURLcode code = CURLE_OK;

	if (file == NULL && directory == NULL) {
		file = find_bundle();
		return file == NULL ? CURLE_OK : curl_easy_setopt(easy, CURLOPT_CAINFO, file);
	}
	if (file != NULL)
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, file);
	/* These and no others: the directory of the system's would be asked as well. */
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_CAPATH, directory);
	return code;
}

CURLcode
tls_apply(const struct tls *tls, CURL *easy)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->insecure ? 0L : 1L);

	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->insecure ? 0L : 2L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (code == CURLE_OK)
		code = apply_authorities(tls, easy);
	if (code == CURLE_OK && tls->cert != NULL)
		code = curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->cert);
	if (code == CURLE_OK && tls->cert != NULL)
		code = curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->cert_key != NULL ? tls->cert_key : tls->cert);
	/* OpenSSL would ask for an encrypted key's on the terminal, and everything would wait for that. */
	if (code == CURLE_OK && tls->cert != NULL)
		code = curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
	/* A session that is resumed would go on with the certificate that was there when it began. */
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* And so would authorities that were read hours ago; what cannot keep them refuses the option. */
	(void)curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#endif
	return code;
}
