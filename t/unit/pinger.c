/* child: pings over two descriptors, in a time that the test lets pass. */
#include "fake_loop.h"

#include "child/pinger.h"

#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct logger silent;
static struct pinger pinger;
static char failure[256];

static void
on_failed(void *arg, const char *why)
{
	(void)arg;
	snprintf(failure, sizeof(failure), "%s", why);
}

static int
open_lines(void **state)
{
	(void)state;
	failure[0] = '\0';
	pinger = (struct pinger){ .way = PING_WAY_LINES,
		.period = 30 * NSEC_PER_SEC,
		.limit = 60 * NSEC_PER_SEC,
		.start_limit = 60 * NSEC_PER_SEC,
		.failed = on_failed };
	return pinger_open(&pinger, &fake_loop, &silent);
}

static int
close_lines(void **state)
{
	(void)state;
	pinger_close(&pinger);
	return fake_loop_timers() == 0 ? 0 : -1;
}

/* The line that COMMAND reads, without its newline; "" where there is none. */
static const char *
ping(void)
{
	static char line[64];
	ssize_t len;

	fcntl(pinger.far[0].from, F_SETFL, O_NONBLOCK);
	len = read(pinger.far[0].from, line, sizeof(line) - 1);
	line[len > 0 ? len - 1 : 0] = '\0';
	return line;
}

/* What COMMAND writes. */
static void
answer(const char *line)
{
	assert_int_equal(write(pinger.far[1].from, line, strlen(line)), (ssize_t)strlen(line));
	fake_loop_ready(pinger.in);
}

static void
answer_with_newline(const char *line)
{
	char text[80];

	snprintf(text, sizeof(text), "%s\n", line);
	answer(text);
}

static void
one_ping_a_period(void **state)
{
	char first[64];

	(void)state;
	pinger_start(&pinger);
	snprintf(first, sizeof(first), "%s", ping());
	assert_string_not_equal(first, "");
	answer_with_newline(first);
	assert_string_equal(ping(), "");
	fake_loop_advance(31 * NSEC_PER_SEC);
	assert_string_not_equal(ping(), first);
	assert_string_equal(failure, "");
}

static void
silence_is_a_failure(void **state)
{
	(void)state;
	pinger_start(&pinger);
	fake_loop_advance(59 * NSEC_PER_SEC);
	assert_string_equal(failure, "");
	fake_loop_advance(2 * NSEC_PER_SEC);
	assert_non_null(strstr(failure, "not answer"));
}

static void
a_wrong_answer_is_a_failure(void **state)
{
	(void)state;
	pinger_start(&pinger);
	answer("nonsense\n");
	assert_string_not_equal(failure, "");
}

static void
a_part_of_a_line_is_no_answer(void **state)
{
	const char *line;

	(void)state;
	pinger_start(&pinger);
	line = ping();
	answer(line);
	fake_loop_advance(59 * NSEC_PER_SEC);
	assert_string_equal(failure, "");
	answer("\n");
	assert_string_equal(failure, "");
}

static void
who_is_told_to_end_need_not_answer(void **state)
{
	(void)state;
	pinger_start(&pinger);
	pinger_quiet(&pinger);
	answer("nonsense\n");
	fake_loop_advance(120 * NSEC_PER_SEC);
	assert_string_equal(failure, "");
}

int
main(void)
{
#define WITH_LINES(test) cmocka_unit_test_setup_teardown(test, open_lines, close_lines)
	const struct CMUnitTest tests[] = {
		WITH_LINES(one_ping_a_period),
		WITH_LINES(silence_is_a_failure),
		WITH_LINES(a_wrong_answer_is_a_failure),
		WITH_LINES(a_part_of_a_line_is_no_answer),
		WITH_LINES(who_is_told_to_end_need_not_answer),
	};

	return RUN_UNITS(tests);
}
