#include "v3_fixture.h"

#include "base/base64.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct protocol *const v3 = &protocol_v3;

int64_t lease;
char key[64];

int
begin_v3(void **state)
{
	(void)state;
	return contend(v3, false);
}

void
print_kv(char *to, size_t size, const struct kv *kv)
{
	char *key64 = base64_encode(kv->key, strlen(kv->key)), *value64 = base64_encode(kv->value, kv->len);

	snprintf(to, size,
	    "{\"key\":\"%s\",\"value\":\"%s\",\"create_revision\":\"%d\",\"mod_revision\":\"%d\",\"lease\":\"%" PRId64
	    "\"}",
	    key64, value64, kv->create, kv->mod, kv->lease);
	free(key64);
	free(value64);
}

struct kv
own(int create, int mod, int64_t on)
{
	return (struct kv){ .key = key, .value = "me", .len = 2, .create = create, .mod = mod, .lease = on };
}

const struct kv them = { .key = "/l/aa", .value = "them", .len = 4, .create = 3, .mod = 3, .lease = 170 };

void
answer_grant_of(int revision, int ttl_s)
{
	struct http_request *request = http_find("/v3/lease/grant");
	int asked_s;

	assert_int_equal(sscanf(http_body(request), "{\"ID\":\"%" SCNd64 "\",\"TTL\":\"%d\"}", &lease, &asked_s), 2);
	assert_int_equal(asked_s, ttl_s);
	http_answer(request, 200, "{" HEADER ",\"ID\":\"%" PRId64 "\",\"TTL\":\"%d\"}", revision, lease, ttl_s);
}

void
answer_grant(int revision)
{
	answer_grant_of(revision, 60);
}

void
begin_join(void)
{
	next_generation();
	v3->join(protocol);
	fake_loop_run();
	answer_grant(4);
	snprintf(key, sizeof(key), "/l/%" PRIx64, (uint64_t)lease);
	reported(REPORT_GRANTED);
}

/* Our key is put at revision 5, behind AHEAD where that is not NULL, and behind MORE. */
static void
join(const struct kv *ahead, bool more)
{
	char mine[256], theirs[256] = "";
	struct kv kv;

	begin_join();
	kv = own(5, 5, lease);
	print_kv(mine, sizeof(mine), &kv);
	if (ahead != NULL)
		print_kv(theirs, sizeof(theirs), ahead);
	http_answer(http_find("/v3/kv/txn"), 200,
	    "{" HEADER ",\"succeeded\":true,\"responses\":[{\"response_put\":{}},{\"response_range\":{\"kvs\":[%s]}},"
	    "{\"response_range\":{\"kvs\":[%s%s%s]%s}}]}",
	    5, mine, mine, ahead == NULL ? "" : ",", theirs, more ? ",\"more\":true" : "");
}

void
join_behind(const struct kv *ahead)
{
	join(ahead, false);
}

void
join_far_behind(const struct kv *ahead)
{
	join(ahead, true);
}

void
follow(void)
{
	v3->follow(protocol);
	fake_loop_run();
	http_stream(http_find("/v3/watch"),
	    "{\"result\":{" HEADER ",\"created\":true}}{\"result\":{" HEADER ",\"created\":true,\"watch_id\":\"1\"}}",
	    5, 5);
}

struct kv
marked(int mod)
{
	struct kv kv = them;

	kv.value = "\0them";
	kv.len = 5;
	kv.mod = mod;
	return kv;
}

void
step_aside_and_leave(int revision)
{
	reported(REPORT_GIVEN);
	/* Who takes over looks first. */
	assert_int_equal(http_out(), 0);
	fake_loop_advance(10 * NSEC_PER_MSEC);
	http_answer(http_find("revoke"), 200, "{" HEADER "}", revision);
	reported(REPORT_GIVEN);
	reported(REPORT_RELEASED);
}

void
hold(void)
{
	join_behind(NULL);
	reported(REPORT_PLACED);
	v3->hold(protocol);
	fake_loop_run();
}

void
answer_look(int revision, const struct kv *kv)
{
	char text[256] = "";

	if (kv != NULL)
		print_kv(text, sizeof(text), kv);
	http_answer(http_find("/v3/kv/range"), 200, "{" HEADER ",\"kvs\":[%s]}", revision, text);
}

void
answer_page(int revision, const struct kv *other, bool more)
{
	const struct kv mine = own(5, 5, lease);
	char text[256], others[256] = "";

	print_kv(text, sizeof(text), &mine);
	if (other != NULL)
		print_kv(others, sizeof(others), other);
	http_answer(http_find("/v3/kv/txn"), 200,
	    "{" HEADER
	    ",\"succeeded\":true,\"responses\":[{\"response_range\":{\"kvs\":[%s]}},{\"response_range\":{\"kvs\":[%s]%s}}]}",
	    revision, text, others, more ? ",\"more\":true" : "");
}

/* A move was not made, for our key is KV at revision 6. */
void
answer_guard_failed(const struct kv *kv)
{
	char text[256];

	print_kv(text, sizeof(text), kv);
	http_answer(
	    http_find("/v3/kv/txn"), 200, "{" HEADER ",\"responses\":[{\"response_range\":{\"kvs\":[%s]}}]}", 6, text);
}
