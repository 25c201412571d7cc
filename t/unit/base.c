/* base: durations, base64, buffers, backoff, what a log line may hold. */
#include "base/backoff.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
durations_that_parse(void **state)
{
	static const struct {
		const char *text;
		nsec span;
	} cases[] = {
		{ "0", 0 },
		{ "30", 30 * NSEC_PER_SEC },
		{ "1.5", 1500 * NSEC_PER_MSEC },
		{ "1.5s", 1500 * NSEC_PER_MSEC },
		{ "500ms", 500 * NSEC_PER_MSEC },
		{ "0.5ms", 500000 },
		{ "2m", 120 * NSEC_PER_SEC },
		{ "1h", 3600 * NSEC_PER_SEC },
		{ "0.25h", 900 * NSEC_PER_SEC },
		{ "0.000000001", 1 },
		{ "876000h", INT64_C(876000) * 3600 * NSEC_PER_SEC },
	};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nsec span = -1;

		assert_int_equal(duration_parse(cases[i].text, &span, &why), 0);
		assert_int_equal(span, cases[i].span);
	}
}

static void
durations_that_do_not(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "not a duration" },
		{ " 1", "not a duration" },
		{ "1 ", "not a duration" },
		{ "abc", "not a duration" },
		{ "1d", "not a duration" },
		{ "1.", "not a duration" },
		{ ".5", "not a duration" },
		{ "1e3", "not a duration" },
		{ "+1", "not a duration" },
		{ "0x10", "not a duration" },
		{ "nan", "not a duration" },
		{ "1.0000000001", "not a duration" },
		{ "-1", "negative" },
		{ "-0.5s", "negative" },
		{ "99999999999999999999", "more than" },
		{ "9223372036854775807h", "more than" },
		{ "3200000000", "more than" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nsec span = 42;
		const char *why = NULL;

		assert_int_equal(duration_parse(cases[i].text, &span, &why), -1);
		assert_ptr_equal(strstr(why, cases[i].why), why);
		assert_int_equal(span, 42);
	}
}

static void
duration_text_reads_back(void **state)
{
	static const char *const texts[] = { "0ms", "1ms", "250ms", "999ms", "1s", "1.5s", "90s", "3600s", "10.001s" };
	char buf[DURATION_TEXT];
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		nsec span;

		assert_int_equal(duration_parse(texts[i], &span, &why), 0);
		assert_string_equal(duration_text(span, buf), texts[i]);
	}
}

static void
base64_round_trip(void **state)
{
	static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foobar", "Zm9vYmFy" }, { "/lock/1234", "L2xvY2svMTIzNA==" }, { "\xfb\xff\xfe", "+//+" } };

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		size_t len;
		char *text = base64_encode(pairs[i][0], strlen(pairs[i][0])), *bytes = base64_decode(pairs[i][1], &len);

		assert_string_equal(text, pairs[i][1]);
		assert_int_equal(len, strlen(pairs[i][0]));
		assert_string_equal(bytes, pairs[i][0]);
		free(text);
		free(bytes);
	}
}

static void
base64_is_strict(void **state)
{
	static const char *const bad[] = { "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zh==", "Zm9=", "Zm-_", "Zm9v\n",
		" Zm9v", "Zm8=Zm9v" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t len;

		errno = 0;
		assert_null(base64_decode(bad[i], &len));
		assert_int_equal(errno, EINVAL);
	}
}

static void
strbuf_keeps_its_limit(void **state)
{
	struct strbuf buf = { 0 };

	(void)state;
	assert_int_equal(strbuf_append(&buf, "hello ", 6, 11), 0);
	assert_int_equal(strbuf_append(&buf, "world", 5, 11), 0);
	assert_int_equal(strbuf_append(&buf, "!", 1, 11), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_string_equal(buf.data, "hello world");
	strbuf_consume(&buf, 6);
	assert_string_equal(buf.data, "world");
	assert_int_equal(strbuf_append(&buf, "x", 1, SIZE_MAX), 0);
	strbuf_free(&buf);
	assert_int_equal(buf.len, 0);
}

static void
backoff_doubles_with_jitter(void **state)
{
	struct backoff backoff = { .first = 100, .cap = 1000 };
	static const nsec bounds[] = { 100, 200, 400, 800, 1000, 1000 };

	(void)state;
	for (int round = 0; round < 100; round++) {
		backoff_reset(&backoff);
		for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
			nsec delay = backoff_next(&backoff);

			assert_true(delay >= bounds[i] / 2 && delay <= bounds[i]);
		}
	}
	for (int i = 0; i < 100; i++)
		assert_true(backoff_next(&backoff) <= 1000);
}

static void
log_lines_are_printable(void **state)
{
	char text[] = "id \x1b[2J\x7f \xc2\x9b caf\xc3\xa9\n";

	(void)state;
	log_printable(text);
	assert_string_equal(text, "id ?[2J? ? caf\xc3\xa9?");
}

static void
what_hides_is_shown(void **state)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{ "\x9b"
		  "31m",
		    "?31m" }, /* a C1 control as a byte of its own */
		{ "a\xe2\x80\xae"
		  "b",
		    "a?b" }, /* right-to-left override */
		{ "a\xe2\x80\x8b"
		  "b",
		    "a?b" }, /* no width */
		{ "\xef\xbb\xbf"
		  "a",
		    "?a" },                     /* byte order mark */
		{ "\xf3\xa0\x81\xa1", "?" },    /* a tag character */
		{ "\xc0\x80", "??" },           /* NUL in too many bytes */
		{ "\xed\xa0\x80", "???" },      /* a surrogate */
		{ "\xf4\x90\x80\x80", "????" }, /* beyond Unicode */
		{ "cut \xe2\x82", "cut ??" },   /* cut off */
		{ "\xe2\x82\xac \xf0\x9f\x98\x80 \xd9\x85", "\xe2\x82\xac \xf0\x9f\x98\x80 \xd9\x85" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[32];

		strcpy(text, cases[i].text);
		log_printable(text);
		assert_string_equal(text, cases[i].shown);
	}
	assert_true(utf8_is_valid("caf\xc3\xa9") && utf8_is_valid(""));
	assert_false(utf8_is_valid("caf\xe9") || utf8_is_valid("\xc3"));
}

static void
collect(void *arg, int level, const char *line)
{
	(void)level;
	strcpy(arg, line);
}

static void
log_lines_are_cut(void **state)
{
	char got[LOG_LINE] = "", word[2000];
	const struct logger logger = { .write = collect, .arg = got, .threshold = LEVEL_NOTICE };

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	log_msg(&logger, LEVEL_DEBUG, "not heard");
	assert_string_equal(got, "");
	log_errno(&logger, LEVEL_ERROR, ENOENT, "opening %s", "it");
	assert_string_equal(got, "opening it: No such file or directory");
	log_msg(&logger, LEVEL_ERROR, "%s", word);
	assert_int_equal(strlen(got), LOG_LINE - 1);
	assert_string_equal(got + LOG_LINE - 5, "x...");
	log_msg(NULL, LEVEL_ERROR, "nobody listens");
}

static void
clock_adds_without_overflow(void **state)
{
	nsec first = clock_now();

	(void)state;
	assert_true(first > 0 && clock_now() >= first);
	assert_int_equal(clock_add(1, 2), 3);
	assert_int_equal(clock_add(NSEC_NEVER, 1), NSEC_NEVER);
	assert_int_equal(clock_add(NSEC_NEVER - 1, 2), NSEC_NEVER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_that_parse),
		cmocka_unit_test(durations_that_do_not),
		cmocka_unit_test(duration_text_reads_back),
		cmocka_unit_test(base64_round_trip),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(strbuf_keeps_its_limit),
		cmocka_unit_test(backoff_doubles_with_jitter),
		cmocka_unit_test(log_lines_are_printable),
		cmocka_unit_test(what_hides_is_shown),
		cmocka_unit_test(log_lines_are_cut),
		cmocka_unit_test(clock_adds_without_overflow),
	};

	return RUN_UNITS(tests);
}
