/* A shared library whose functions are looked up when they are first needed, so that what starts without them doesn't pay. */
#ifndef HUB_LIBRARY_H
#define HUB_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* Where the pointer to a function lies in the caller's table of them. */
typedef struct library_function {
    const char *name;
    size_t offset; /* bytes */
} library_function;

/* Opens the first of the libraries that is installed, for as long as the process lives, and fills `table`. False: there is none,
 * or it lacks a function; what is in the table then is not to be called. */
bool library_load(void *table, const char *const *names, size_t name_count, const library_function *functions,
                  size_t function_count);

#endif
