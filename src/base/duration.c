#include "base/duration.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool
unit_length(const char *text, nsec *unit)
{
	static const struct {
		const char *name;
		nsec length;
	} units[] = {
		{ "", NSEC_PER_SEC },
		{ "s", NSEC_PER_SEC },
		{ "ms", NSEC_PER_MSEC },
		{ "m", 60 * NSEC_PER_SEC },
		{ "h", 3600 * NSEC_PER_SEC },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].name) == 0) {
			*unit = units[i].length;
			return true;
		}
	}
	return false;
}

/* Reads digits into *VALUE. Returns how many, or -1 where the value overflows. */
static int
read_digits(const char **cursor, int64_t *value)
{
	int count = 0;

	*value = 0;
	for (; isdigit((unsigned char)**cursor); (*cursor)++, count++) {
		if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, **cursor - '0', value))
			return -1;
	}
	return count;
}

/* The fraction "." DIGITS at *CURSOR, in billionths; 0 where there is none, -1 where it is malformed. */
static int64_t
read_billionths(const char **cursor)
{
	int64_t value;
	int digits;

	if (**cursor != '.')
		return 0;
	(*cursor)++;
	digits = read_digits(cursor, &value);
	if (digits < 1 || digits > 9)
		return -1;
	for (; digits < 9; digits++)
		value *= 10;
	return value;
}

int
duration_parse(const char *text, nsec *out, const char **why)
{
	const char *cursor = text;
	int64_t whole, billionths = 0;
	nsec unit = 0, span;
	int digits;

	*why = text[0] == '-' && isdigit((unsigned char)text[1]) ? "negative"
								 : "not a duration such as 30, 1.5, 500ms, 2m or 1h";
	digits = read_digits(&cursor, &whole);
	if (digits == 0)
		return -1;
	if (digits > 0) {
		billionths = read_billionths(&cursor);
		if (billionths < 0 || !unit_length(cursor, &unit))
			return -1;
	}
	*why = "more than 100 years";
	if (digits < 0 || __builtin_mul_overflow(whole, unit, &span) || span > DURATION_MAX)
		return -1;
	/* Every unit is a whole number of milliseconds, so this neither overflows nor rounds early. */
	*out = span + billionths * (unit / NSEC_PER_MSEC) / 1000;
	return 0;
}

const char *
duration_text(nsec span, char buf[DURATION_TEXT])
{
	int64_t usec = (span + 500) / 1000;

	if (usec < 1000000) {
		snprintf(buf, DURATION_TEXT, "%" PRId64 "ms", (usec + 500) / 1000);
	} else {
		int64_t msec = (usec + 500) / 1000;
		int len = snprintf(buf, DURATION_TEXT, "%" PRId64 ".%03" PRId64, msec / 1000, msec % 1000);

		while (buf[len - 1] == '0')
			len--;
		if (buf[len - 1] == '.')
			len--;
		snprintf(buf + len, DURATION_TEXT - (size_t)len, "s");
	}
	return buf;
}
