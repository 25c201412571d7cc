/* etcd's v2 keys API: paths of requests, and what comes out of answers. No I/O.
 *
 * The format: "etcd2 API" in etcd's documentation; JSON objects, with plain integers. Everything of a request is in its
 * query. Encoders return a new string, or NULL when memory is short. */
#ifndef ETCD_V2_CODEC_H
#define ETCD_V2_CODEC_H

#include "etcd/verdict_kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Create KEY with VALUE, unless it exists. PUT. */
char *v2_encode_create(const char *key, const char *value, int64_t ttl_s);

/* Give KEY another TTL where its modified index is INDEX and its value VALUE: a store that was restored from an older
 * copy hands out the same indexes again. Wakes nobody who waits. PUT. */
char *v2_encode_refresh(const char *key, const char *value, int64_t index, int64_t ttl_s);

/* Read KEY, linearizably. GET. */
char *v2_encode_read(const char *key);

/* Wait for the first change of KEY from INDEX on. GET; the answer comes when it comes. */
char *v2_encode_wait(const char *key, int64_t index);

/* Delete KEY where its modified index is INDEX and its value VALUE. DELETE. */
char *v2_encode_delete(const char *key, const char *value, int64_t index);

struct v2_node {
	char *value; /* own; "" for a deleted one */
	bool directory;
	int64_t created, modified; /* indexes */
	int64_t ttl_s;             /* what is left; 0: it does not end, or not within 285 years */
};

struct v2_answer {
	char action[24]; /* "create", "expire", ... */
	struct v2_node node;
	int64_t index; /* with an error: the store's; 0: not told */
};

/* Tell the kind of an answer with HTTP status STATUS and LEN bytes of BODY. For anything but VERDICT_OK TEXT says what
 * was answered, in etcd's own words. Free ANSWER in any case. */
enum verdict_kind
v2_classify(long status, const char *body, size_t len, struct v2_answer *answer, char text[VERDICT_TEXT]);
void v2_answer_free(struct v2_answer *answer);

#endif
