/* Durations as people write them: "30", "1.5", "500ms", "2m", "1h". */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include "base/clock.h"

#include <stddef.h>

/* The longest duration that is accepted: 100 years. More is a slip of the keyboard, and a sum of
 * two such spans still fits into nsec. */
#define DURATION_MAX (INT64_C(100) * 366 * 86400 * NSEC_PER_SEC)

/* Parse TEXT: a decimal number with at most 9 decimals, then nothing (seconds), "ms", "s", "m" or
 * "h". No sign, no white space, no exponent. Returns 0 and the span in *OUT, or -1 and in *WHY a
 * static text that completes "X is ...". */
__attribute__((warn_unused_result)) int duration_parse(const char *text, nsec *out, const char **why);

/* Write SPAN into BUF the way duration_parse() reads it, in the unit that suits it, rounded to
 * three digits after the point ("1.5s", "250ms", "90s"). Returns BUF. */
#define DURATION_TEXT 32
const char *duration_text(nsec span, char buf[DURATION_TEXT]);

#endif
