/* What something costs: time, and memory at its peak. */
#ifndef SUPPORT_MEASURE_H
#define SUPPORT_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

double measure_now(void);        /* seconds, from anywhere */
double measure_thread_cpu(void); /* seconds that this thread ran so far */

typedef struct measure_cost {
    double seconds; /* the median of the runs */
    double peak_mb; /* the largest of the runs, in 1e6 bytes */
    bool ok;        /* every run ended with status 0 */
} measure_cost;

/* Runs a program, looked up in PATH, with its output thrown away. Linux counts what the caller itself has resident into the
 * program's peak: a caller that measures does large things in a child (measure_child). */
measure_cost measure_program(char *const argv[], int runs);

/* Calls fn in a forked child. False from fn is a failure. */
measure_cost measure_child(bool (*fn)(void *ud), void *ud, int runs);

/* Memory that children share with the caller; NULL: there is none. */
void *measure_shared(size_t size);

/* The program that stands beside this one's folder: "phantom-gpu". */
bool measure_sibling(const char *name, char *out, size_t cap);

double measure_median(double *values, int n); /* sorts them */

/* One figure against its limit; false when it is missed. */
bool measure_limit(const char *what, double got, const char *unit, double limit, bool at_least);

#endif
