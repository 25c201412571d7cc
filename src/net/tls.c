#include "net/tls.h"

#include "base/clock.h"
#include "base/strbuf.h"

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

/* The file of the authorities that the system trusts; NULL where there is none that we know of. */
static const char *
find_bundle(void)
{
#if LIBCURL_VERSION_NUM >= 0x075400
	/* Debian and Alpine, Red Hat, SUSE, and whoever follows OpenBSD. */
	static const char *const usual[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
	const char *built_in = curl_version_info(CURLVERSION_NOW)->cainfo;

	if (built_in == NULL || access(built_in, R_OK) == 0)
		return built_in;
	/* This libcurl was built for another system. */
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

/* --- files that change --- */

/* The kernel's clock for files goes by ticks of up to 10 ms: within one a file can be written again without a trace. So
 * what has changed is read once more when they are over. */
#define TICKS (20 * NSEC_PER_MSEC)

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	    memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0 &&
	    memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0;
}

static void
look_at_files(struct tls_user *user)
{
	const char *const paths[TLS_FILES] = { user->authorities, user->set.cert, user->set.cert_key };
	bool changed = false;

	for (size_t i = 0; i < TLS_FILES; i++) {
		struct stat now = { 0 };

		if (paths[i] == NULL)
			continue;
		(void)stat(paths[i], &now);
		changed = changed || !is_same(&now, &user->seen[i]);
		user->seen[i] = now;
	}
	if (!changed && (user->changed == 0 || clock_now() - user->changed < TICKS))
		return;
	user->changed = changed ? clock_now() : 0;
	user->spelling++;
}

/* --- who speaks it --- */

/* *PATH as it is from where we are now: libcurl takes relative names that are spelt in different ways for one. */
static void
make_absolute(char **path, bool *good)
{
	char *directory, *whole;

	if (*path == NULL || (*path)[0] == '/')
		return;
	directory = getcwd(NULL, 0);
	whole = directory == NULL ? NULL : str_printf("%s/%s", directory, *path);
	free(directory);
	*good = *good && whole != NULL;
	free(*path);
	*path = whole;
}

static void
choose_authorities(struct tls_user *user, bool *good)
{
	const char *file = user->set.cacert != NULL ? user->set.cacert : named("SSL_CERT_FILE");
	const char *directory = user->set.cacert != NULL ? NULL : named("SSL_CERT_DIR");

	user->of_system = file == NULL && directory == NULL;
	if (user->of_system)
		file = find_bundle();
	user->authorities = copy(file, good);
	user->directory = copy(directory, good);
}

int
tls_begin(struct tls_user *user, const struct tls *tls)
{
	bool good = true;

	*user = (struct tls_user){ 0 };
	if (tls != NULL)
		good = tls_copy(&user->set, tls) == 0;
	choose_authorities(user, &good);
	make_absolute(&user->authorities, &good);
	make_absolute(&user->set.cert, &good);
	make_absolute(&user->set.cert_key, &good);
	look_at_files(user);
	user->spelling = 0;
	user->changed = 0;
	return good ? 0 : -1;
}

void
tls_end(struct tls_user *user)
{
	tls_free(&user->set);
	free(user->authorities);
	free(user->directory);
}

void
tls_distrusted(struct tls_user *user)
{
	user->everywhere = user->of_system;
}

/* --- what libcurl is told --- */

/* libcurl goes by the names of files where it asks whether a session, a connection or the authorities that it has read
 * are those of a request: so a file that has changed gets another name, /./a/b for /a/b, and nothing old is used again.
 * One after the other, for the oldest are forgotten by then. */
static CURLcode
set_file(const struct tls_user *user, CURL *easy, CURLoption option, const char *path)
{
	static const char dots[] = "././././././././././././././././././././././././././././././";
	const int most = (int)(sizeof(dots) - 1) / 2, length = 2 * (int)(user->spelling % (unsigned)(most + 1));
	char *name = str_printf("/%.*s%s", length, dots, path + 1);
	CURLcode code = name == NULL ? CURLE_OUT_OF_MEMORY : curl_easy_setopt(easy, option, name);

	free(name);
	return code;
}

/* What libcurl remembers, the authorities that it has read and the sessions that were begun under them, is good as long
 * as all authorities are in the one file that we look at. */
static CURLcode
apply_memory(const struct tls_user *user, CURL *easy)
{
	const bool lasting = user->authorities != NULL && user->directory == NULL && !user->everywhere;

#if LIBCURL_VERSION_NUM >= 0x075700
	/* A TLS library that cannot keep them refuses the option. */
	(void)curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, lasting ? -1L : 0L);
#endif
	return curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, lasting ? 1L : 0L);
}

static CURLcode
apply_authorities(const struct tls_user *user, CURL *easy)
{
	CURLcode code;

	if (user->authorities == NULL && user->directory == NULL)
		return CURLE_OK;
	/* Libcurl's own file need not be there where a directory is named. */
	code = user->authorities != NULL ? set_file(user, easy, CURLOPT_CAINFO, user->authorities)
					 : curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	/* Libcurl has the system's in mind where it is told none. */
	if (code == CURLE_OK && !user->everywhere)
		code = curl_easy_setopt(easy, CURLOPT_CAPATH, user->directory);
	return code;
}

static CURLcode
apply_certificate(const struct tls_user *user, CURL *easy)
{
	const struct tls *set = &user->set;
	CURLcode code;

	if (set->cert == NULL)
		return CURLE_OK;
	code = set_file(user, easy, CURLOPT_SSLCERT, set->cert);
	if (code == CURLE_OK)
		code = set_file(user, easy, CURLOPT_SSLKEY, set->cert_key != NULL ? set->cert_key : set->cert);
	/* OpenSSL would ask for an encrypted key's on the terminal, and everything would wait for that. */
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
	return code;
}

CURLcode
tls_apply(struct tls_user *user, CURL *easy)
{
	bool insecure = user->set.insecure;
	CURLcode code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, insecure ? 0L : 1L);

	look_at_files(user);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, insecure ? 0L : 2L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (code == CURLE_OK)
		code = apply_authorities(user, easy);
	if (code == CURLE_OK)
		code = apply_memory(user, easy);
	if (code == CURLE_OK)
		code = apply_certificate(user, easy);
	return code;
}
