/* A contender for /l by v3, with answers that the test makes. */
#ifndef T_UNIT_V3_FIXTURE_H
#define T_UNIT_V3_FIXTURE_H

#include "protocol_fixture.h"

#define HEADER "\"header\":{\"cluster_id\":\"7\",\"revision\":\"%d\"}"

#define WITH_V3(test) cmocka_unit_test_setup_teardown(test, begin_v3, stop_contending)

extern const struct protocol *const v3;

/* The lease of the last grant, and our key. */
extern int64_t lease;
extern char key[64];

/* A key in an answer. */
struct kv {
	const char *key, *value;
	size_t len;
	int create, mod;
	int64_t lease;
};

/* KV as JSON. */
void print_kv(char *to, size_t size, const struct kv *kv);

/* Of somebody ahead of us. */
extern const struct kv them;

int begin_v3(void **state);

/* Our key, on the lease ON. */
struct kv own(int create, int mod, int64_t on);

/* Answer the grant that is out; its TTL must be 60 s, or TTL_S. */
void answer_grant(int revision);
void answer_grant_of(int revision, int ttl_s);

/* A join has its lease, and asks for its place. */
void begin_join(void);

/* Our key is put at revision 5, behind AHEAD where that is not NULL. */
void join_behind(const struct kv *ahead);

/* Likewise, and behind more than were read. */
void join_far_behind(const struct kv *ahead);

/* The watches on our key and on the one ahead of us are confirmed. */
void follow(void);

/* THEM, with the released mark. */
struct kv marked(int mod);

/* The released mark was answered: what comes until nothing of ours is left. REVISION is the revocation's. */
void step_aside_and_leave(int revision);

/* The lock is ours. */
void hold(void);

/* A look shows KV alone, or nothing where it is NULL. */
void answer_look(int revision, const struct kv *kv);

/* A look at our key, as it was put, and at OTHER, which may be NULL; and MORE are there. */
void answer_page(int revision, const struct kv *other, bool more);

/* A move finds KV changed. */
void answer_guard_failed(const struct kv *kv);

#endif
