/* The only door to libc for base/, graph/, gpu/spec, cost/ and predict/: what is not named here is not used there,
 * which is how the core compiles for WASM (`./dev wasm-core`) with no sysroot. */
#ifndef BASE_LIBC_H
#define BASE_LIBC_H

#include <float.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__wasm__) && !__has_include(<string.h>)
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
double sqrt(double x);
double floor(double x);
double ceil(double x);
double fabs(double x);
double exp(double x);
double log(double x);
double pow(double x, double y);
double trunc(double x);
#define INFINITY __builtin_inf()
#define isfinite(x) __builtin_isfinite(x)
#define isnan(x) __builtin_isnan(x)
#else
#include <math.h>
#include <string.h>
#endif

#endif
