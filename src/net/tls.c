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

/* True where whatever this libcurl takes for the system's authorities is not there: it was built for another system. */
static bool
has_no_default(void)
{
#if LIBCURL_VERSION_NUM >= 0x075400
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	return info->cainfo != NULL && access(info->cainfo, R_OK) == -1 &&
	    (info->capath == NULL || access(info->capath, R_OK) == -1);
#else
	return false;
#endif
}

/* The file of the authorities that the system trusts, where libcurl does not find it by itself; else NULL. */
static const char *
find_bundle(void)
{
	/* Debian and Alpine, Red Hat, SUSE, and whoever follows OpenBSD. */
	static const char *const usual[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };

	if (!has_no_default())
		return NULL;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (access(usual[i], R_OK) == 0)
			return usual[i];
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
	const char *file = tls->cacert, *directory = NULL;
	CURLcode code = CURLE_OK;

	if (file == NULL) {
		file = named("SSL_CERT_FILE");
		directory = named("SSL_CERT_DIR");
		if (file == NULL && directory == NULL && (file = find_bundle()) == NULL)
			return CURLE_OK;
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
