/* String views: pointer and length, not terminated, not owned. A view into a mapped file lives as long as the file. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/arena.h"

typedef struct str {
    const char *ptr;
    size_t len;
} str;

#define STR(literal) ((str){"" literal, sizeof(literal) - 1})
#define STR_ARG(s) (int)((s).len > 4096 ? 4096 : (s).len), (s).ptr ? (s).ptr : ""

static inline str str_c(const char *c)
{
    return (str){c, c ? strlen(c) : 0};
}
static inline bool str_eq(str a, str b)
{
    return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool str_is(str a, const char *c)
{
    return str_eq(a, str_c(c));
}
bool str_starts(str s, const char *prefix);
bool str_ends(str s, const char *suffix);
/* Copies into the arena with a terminating zero; ptr is NULL when out of memory. */
str str_copy(arena *a, str s);
uint64_t str_hash(str s);
/* Lower case, with spaces, '-' and '_' dropped: how GPU and model names are matched. Writes at most cap - 1 bytes. */
size_t str_fold(char *out, size_t cap, str s);
/* Edit distance (insert, delete, replace, swap) up to `most`; most + 1 when it is larger. For "did you mean". */
unsigned str_distance(str a, str b, unsigned most);

#endif
