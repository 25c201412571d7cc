/* lock: the arithmetic of leases, and those that one lock has asked for. */
#include "lock/lease.h"
#include "lock/timing.h"

#include "unit.h"

#include <string.h>

static int64_t
margin_ms(int64_t ttl_s)
{
	return lease_margin(ttl_s * NSEC_PER_SEC) / NSEC_PER_MSEC;
}

static void
margins(void **state)
{
	struct lease_term term = { .ttl = 60 * NSEC_PER_SEC };

	(void)state;
	assert_int_equal(margin_ms(1), 200);
	assert_int_equal(margin_ms(5), 600);
	assert_int_equal(margin_ms(30), 3100);
	assert_int_equal(margin_ms(60), 6100);
	assert_int_equal(margin_ms(600), 60100);
	assert_int_equal(margin_ms(INT64_C(3000000000)), INT64_C(300000000100));
	term.sent = clock_moment();
	assert_true(lease_left(&term) <= 60 * NSEC_PER_SEC - lease_margin(60 * NSEC_PER_SEC));
	assert_true(lease_left(&term) > 50 * NSEC_PER_SEC);
	/* Where one clock says that more has passed, that counts. */
	term.sent.raw -= 50 * NSEC_PER_SEC;
	assert_true(lease_left(&term) < 4 * NSEC_PER_SEC);
	term.sent.raw += 100 * NSEC_PER_SEC;
	assert_true(lease_left(&term) > 50 * NSEC_PER_SEC);
}

static void
timing_defaults_fit_every_ttl(void **state)
{
	struct timing timing;
	char why[256];

	(void)state;
	for (int64_t ttl = 1; ttl < 5000; ttl++) {
		timing_init(&timing);
		timing.ttl_s = ttl;
		assert_int_equal(timing_resolve(&timing, why, sizeof(why)), 0);
		assert_int_equal(timing.refresh_ms, ttl * 500);
		assert_true(timing.grace_ms > 0 && timing.grace_ms <= 8000);
		assert_true(timing.refresh_ms + timing.grace_ms + margin_ms(ttl) < ttl * 1000);
	}
	timing_init(&timing);
	timing.ttl_s = 60;
	assert_int_equal(timing_resolve(&timing, why, sizeof(why)), 0);
	assert_int_equal(timing.grace_ms, 8000);
}

static void
timing_that_cannot_be_kept(void **state)
{
	static const struct timing bad[] = {
		{ .ttl_s = 0, .grace_ms = -1 },
		{ .ttl_s = -1, .grace_ms = -1 },
		{ .ttl_s = INT64_MAX, .grace_ms = -1 },
		{ .ttl_s = 10, .refresh_ms = 10000, .grace_ms = -1 },
		{ .ttl_s = 10, .refresh_ms = INT64_MAX / 2, .grace_ms = -1 },
		{ .ttl_s = 10, .grace_ms = INT64_MAX / 2 },
		{ .ttl_s = 10, .refresh_ms = 5000, .grace_ms = 2950 },
		{ .ttl_s = 10, .grace_ms = -1, .wait_ms = INT64_MAX },
		{ .ttl_s = 10, .grace_ms = -1, .delay_ms = -1 },
	};
	struct timing good = { .ttl_s = 10, .refresh_ms = 5000, .grace_ms = 2900 };
	char why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct timing timing = bad[i];

		why[0] = '\0';
		assert_int_equal(timing_resolve(&timing, why, sizeof(why)), -1);
		assert_non_null(strstr(why, "TTL"));
	}
	assert_int_equal(timing_resolve(&good, why, sizeof(why)), 0);
}

static void
the_leases(void **state)
{
	struct leases leases = { 0 };
	struct lease *each[LEASES];

	(void)state;
	for (int i = 0; i < LEASES; i++) {
		each[i] = lease_open(&leases, NULL, (struct moment){ i, i }, 60);
		assert_non_null(each[i]);
		assert_true(each[i]->id > 0);
		assert_ptr_equal(lease_find(&leases, each[i]->id), each[i]);
		each[i]->exposed = i != 7;
	}
	/* A full one gives up its oldest, but not the one that our key is on. */
	assert_ptr_equal(lease_open(&leases, each[0], (struct moment){ 1, 1 }, 60), each[1]);
	each[1]->exposed = true;
	/* Nor those that it might have been moved to; and then nothing. */
	for (int i = 1; i < LEASES; i++)
		each[i]->aimed = i != 3;
	assert_ptr_equal(lease_open(&leases, each[0], (struct moment){ 3, 3 }, 60), each[3]);
	each[3]->aimed = each[3]->exposed = true;
	assert_null(lease_open(&leases, each[0], (struct moment){ 3, 3 }, 60));
	assert_ptr_equal(lease_next_aimed(&leases, NULL), each[1]);
	assert_ptr_equal(lease_next_aimed(&leases, each[1]), each[2]);
	assert_null(lease_next_aimed(&leases, each[LEASES - 1]));
	/* Only what is older than the lease of the key may go: a later one may still get the key. */
	lease_retire_older(&leases, each[2]);
	assert_null(lease_next_aimed(&leases, NULL));
	assert_true(each[0]->revoke && each[1]->revoke && !each[2]->revoke && !each[3]->revoke);
	assert_ptr_equal(lease_next_retired(&leases), each[0]);
	lease_close(each[0]);
	assert_ptr_equal(lease_next_retired(&leases), each[1]);
	/* What etcd has never heard of need not be revoked. */
	lease_retire_all(&leases);
	assert_int_equal(each[7]->id, 0);
	for (int i = 1; i < 7; i++) {
		assert_ptr_equal(lease_next_retired(&leases), each[i]);
		lease_close(each[i]);
	}
	assert_null(lease_next_retired(&leases));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(margins),
		cmocka_unit_test(timing_defaults_fit_every_ttl),
		cmocka_unit_test(timing_that_cannot_be_kept),
		cmocka_unit_test(the_leases),
	};

	return RUN_UNITS(tests);
}
