/* A small printf for code that may not use stdio. Supports %s %.*s %c %d %u %x with l, ll, z; %f %.Nf %g %.Ng; %%.
 * Anything else is a programming error and prints as "%?". Output never depends on the locale. */
#ifndef BASE_FORMAT_H
#define BASE_FORMAT_H

#include "base/libc.h"

#if defined(__GNUC__)
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define PRINTF_LIKE(fmt, first)
#endif

/* Like snprintf: always terminates when cap > 0, returns the length that the whole text has. */
size_t format_text(char *out, size_t cap, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t format_textv(char *out, size_t cap, const char *fmt, va_list args) PRINTF_LIKE(3, 0);

/* The shortest decimal that reads back as the same double (as JSON wants it): "0.1", "1e+300". inf and nan give "null". */
size_t format_double(char *out, size_t cap, double x);

#endif
