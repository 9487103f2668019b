/* Numbers as people read them: three significant digits, a unit, no locale. A number that isn't known (negative, not a
 * number) is "-". `unicode` allows "µs"; otherwise it is "us". Each writes at most cap - 1 bytes and returns `out`. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include "base/format.h"

enum { NUMBER_SIZE = 32 }; /* enough for any of these */

/* "0.123" "12.3" "123" "1,230" "12,300" "123,000" "1.23 M" "4.09 G" */
char *number_plain(char *out, size_t cap, double x);
/* "980" "25.6 M" "4.09 G": k, M, G, T, P from 1,000 on */
char *number_count(char *out, size_t cap, double x);
/* The same with the letters that people use for parameters: k, M, B, T. */
char *number_parameters(char *out, size_t cap, double x);
/* every digit, in groups of three: "25,557,032" */
char *number_whole(char *out, size_t cap, double x);
/* "1.20 GiB" */
char *number_bytes(char *out, size_t cap, double bytes);
/* "12.3 ms" "980 µs" "1.23 s" "2.5 min" */
char *number_time(char *out, size_t cap, double ms, bool unicode);
/* a share: "38 %", "0.4 %" below 1 %, "<0.1 %" */
char *number_percent(char *out, size_t cap, double share);
/* "231 W" */
char *number_watts(char *out, size_t cap, double watts);

#endif
