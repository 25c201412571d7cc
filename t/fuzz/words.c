/* libFuzzer: single words: what people write (durations, endpoints, signals), and tokens. */
#include "base/base64.h"
#include "base/duration.h"
#include "child/signals.h"
#include "etcd/jwt.h"
#include "net/endpoints.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), why[ENDPOINTS_ERROR], buf[DURATION_TEXT];
	char cacert[] = "ca.crt";
	const struct tls tls = { .cacert = size % 2 ? cacert : NULL };
	const char *wrong;
	size_t len;
	nsec span;

	memcpy(text, data, size);
	text[size] = '\0';
	if (duration_parse(text, &span, &wrong) == 0) {
		if (span < 0 || span > DURATION_MAX)
			abort();
		duration_text(span, buf);
	}
	endpoints_free(endpoints_parse(text, &tls, why));
	(void)signal_parse(text);
	if (jwt_seconds_left(text, 1700000000) < 0)
		abort();
	free(base64_decode(text, &len));
	free(text);
	return 0;
}
