/* net: endpoints and timers. HTTP is tested against servers, in t/integration. */
#include "base/loop.h"
#include "net/endpoints.h"

#include "unit.h"

#include <string.h>

static const struct tls plain;

static void
endpoints_that_parse(void **state)
{
	static const struct {
		const char *list, *url, *unix_socket;
	} cases[] = {
		{ "localhost:2379", "http://localhost:2379", NULL },
		{ "localhost", "http://localhost:2379", NULL },
		{ "10.0.0.1:1", "http://10.0.0.1:1", NULL },
		{ "[::1]:2379", "http://[::1]:2379", NULL },
		{ "[fe80::1%eth0]", "http://[fe80::1%eth0]:2379", NULL },
		{ "http://etcd-0.etcd:65535", "http://etcd-0.etcd:65535", NULL },
		{ "https://etcd.example.org/", "https://etcd.example.org:2379", NULL },
		{ "HTTPS://x:1", "https://x:1", NULL },
		{ ":4001", "http://localhost:4001", NULL },
		{ "unix:///run/etcd.sock", "http://localhost", "/run/etcd.sock" },
		{ " a:1 ", "http://a:1", NULL },
	};
	char why[ENDPOINTS_ERROR];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct endpoints *endpoints = endpoints_parse(cases[i].list, &plain, why);

		assert_non_null(endpoints);
		assert_int_equal(endpoints->count, 1);
		assert_string_equal(endpoints->list[0].url, cases[i].url);
		if (cases[i].unix_socket != NULL)
			assert_string_equal(endpoints->list[0].unix_socket, cases[i].unix_socket);
		else
			assert_null(endpoints->list[0].unix_socket);
		endpoints_free(endpoints);
	}
}

static void
endpoints_that_do_not(void **state)
{
	static const char *const bad[] = { "", ",", "a:1,", "a:1,,b:2", ":", "a:", "a:0", "a:65536", "a:x", "a:1:2",
		"::1", "::1:2379", "[::1", "[]:1", "ftp://a:1", "http://", "http://a/b", "a b", "unix://rel",
		"unix:///", "user@a:1", "a:1?x", "a:+1", "a: 1" };
	char why[ENDPOINTS_ERROR], quoted[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = '\0';
		assert_null(endpoints_parse(bad[i], &plain, why));
		assert_non_null(strstr(why, "endpoint '"));
	}
	assert_null(endpoints_parse("good:1,bad:x,good:2", &plain, why));
	strcpy(quoted, "endpoint 'bad:x'");
	assert_non_null(strstr(why, quoted));
}

static void
endpoints_rotate(void **state)
{
	char why[ENDPOINTS_ERROR];
	struct endpoints *endpoints = endpoints_parse("a:1,b:2,c:3", &plain, why);
	struct endpoint *first;

	(void)state;
	assert_non_null(endpoints);
	first = endpoints_current(endpoints);
	assert_string_equal(first->name, "http://a:1");
	endpoints_failed(endpoints, first);
	assert_string_equal(endpoints_current(endpoints)->name, "http://b:2");
	/* A second request that failed on the same one does not move on twice. */
	endpoints_failed(endpoints, first);
	assert_string_equal(endpoints_current(endpoints)->name, "http://b:2");
	endpoints_failed(endpoints, endpoints_current(endpoints));
	endpoints_failed(endpoints, endpoints_current(endpoints));
	assert_ptr_equal(endpoints_current(endpoints), first);
	assert_false(endpoints_all_unusable(endpoints));
	for (size_t i = 0; i < 3; i++)
		endpoints->list[i].unusable = true;
	assert_true(endpoints_all_unusable(endpoints));
	endpoints_free(endpoints);
}

/* --- timers --- */

#define TIMERS 100

static struct {
	struct loop *loop;
	struct timer timers[TIMERS];
	nsec fired[TIMERS];
	size_t count;
} bench;

static void
on_fire(void *arg)
{
	struct timer *timer = arg;

	bench.fired[bench.count++] = timer->at;
	if (bench.count == TIMERS / 2)
		event_base_loopbreak(loop_base(bench.loop));
}

static void
timers_fire_in_order(void **state)
{
	nsec start = clock_now();

	(void)state;
	bench.loop = loop_new(NULL, NULL);
	assert_non_null(bench.loop);
	for (size_t i = 0; i < TIMERS; i++) {
		timer_init(&bench.timers[i], on_fire, &bench.timers[i]);
		assert_false(timer_armed(&bench.timers[i]));
		/* Every second one is to fire, in an order that has nothing to do with that of arming. */
		timer_arm(bench.loop, &bench.timers[i],
		    i % 2 ? start + (nsec)(i * 37 % TIMERS) * NSEC_PER_MSEC / 4 : start + 1);
	}
	/* Moved out and disarmed: every even one. */
	for (size_t i = 0; i < TIMERS; i += 4) {
		timer_arm(bench.loop, &bench.timers[i], start + 3600 * NSEC_PER_SEC);
		timer_disarm(bench.loop, &bench.timers[i + 2]);
		timer_disarm(bench.loop, &bench.timers[i + 2]);
	}
	event_base_dispatch(loop_base(bench.loop));
	assert_int_equal(bench.count, TIMERS / 2);
	for (size_t i = 1; i < bench.count; i++)
		assert_true(bench.fired[i - 1] <= bench.fired[i]);
	for (size_t i = 0; i < TIMERS; i++)
		assert_int_equal(timer_armed(&bench.timers[i]), i % 4 == 0);
	loop_free(bench.loop);
}

static void
timers_never_fire_early(void **state)
{
	nsec at = clock_now() + 20 * NSEC_PER_MSEC;

	(void)state;
	bench.loop = loop_new(NULL, NULL);
	assert_non_null(bench.loop);
	bench.count = TIMERS / 2 - 1;
	timer_init(&bench.timers[0], on_fire, &bench.timers[0]);
	timer_arm(bench.loop, &bench.timers[0], at);
	event_base_dispatch(loop_base(bench.loop));
	assert_true(clock_now() >= at);
	loop_free(bench.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_that_parse),
		cmocka_unit_test(endpoints_that_do_not),
		cmocka_unit_test(endpoints_rotate),
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(timers_never_fire_early),
	};

	return RUN_UNITS(tests);
}
