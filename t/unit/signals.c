/* Signals by name. */
#include "child/signals.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static void
names_are_those_of_the_c_library(void **state)
{
	(void)state;
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	char name[SIGNAL_NAME];

	for (int signo = 1; signo < 32; signo++)
		assert_string_equal(signal_name(signo, name), sigabbrev_np(signo));
#else
	skip();
#endif
}

static void
every_signal_is_found_by_its_name(void **state)
{
	char name[SIGNAL_NAME], whole[SIGNAL_NAME + 3];

	(void)state;
	for (int signo = 1; signo <= 64; signo++) {
		if (signo == 32 || signo == 33)
			continue;
		assert_int_equal(signal_parse(signal_name(signo, name)), signo);
		snprintf(whole, sizeof(whole), "sig%s", name);
		assert_int_equal(signal_parse(whole), signo);
		snprintf(whole, sizeof(whole), "%d", signo);
		assert_int_equal(signal_parse(whole), signo);
	}
}

/* With any C library: COMMAND and who signals it might be of another one. */
static void
real_time_signals_count_as_with_glibc(void **state)
{
	char name[SIGNAL_NAME];

	(void)state;
	assert_int_equal(signal_parse("RTMIN"), 34);
	assert_int_equal(signal_parse("RTMIN+1"), 35);
	assert_int_equal(signal_parse("RTMAX"), 64);
	assert_string_equal(signal_name(34, name), "RTMIN+0");
}

static void
what_is_none_is_refused(void **state)
{
	static const char *const none[] = { "", "0", "32", "33", "65", "-1", "TERM ", "RTMIN+31", "SIG", "15x" };

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(signal_parse(none[i]), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_the_c_library),
		cmocka_unit_test(every_signal_is_found_by_its_name),
		cmocka_unit_test(real_time_signals_count_as_with_glibc),
		cmocka_unit_test(what_is_none_is_refused),
	};

	return RUN_UNITS(tests);
}
