/* JSON in unit tests. */
#ifndef T_UNIT_JSON_H
#define T_UNIT_JSON_H

#include "unit.h"

#include <jansson.h>
#include <stdlib.h>

static inline json_t *
json(const char *text)
{
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(object);
	return object;
}

/* ENCODED must mean the same JSON as WANTED. Frees ENCODED. */
static inline void
assert_json(char *encoded, const char *wanted)
{
	json_t *a, *b = json(wanted);

	assert_non_null(encoded);
	a = json(encoded);
	if (!json_equal(a, b))
		fail_msg("%s is not %s", encoded, wanted);
	json_decref(a);
	json_decref(b);
	free(encoded);
}

/* A key as etcd has it in an answer: KEY and VALUE are base64. */
#define KV(key, create, value) \
	"{\"key\":\"" key "\",\"create_revision\":\"" create "\",\"mod_revision\":\"9\",\"value\":\"" value \
	"\",\"lease\":\"4660\"}"

#endif
