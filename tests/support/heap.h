/* An allocator that counts, checks the sizes that blocks are given back with, and fails from some call on. */
#ifndef SUPPORT_HEAP_H
#define SUPPORT_HEAP_H

#include <stdlib.h>

/* Allocation number fail_at (counting from 0) and all later ones fail, when fail_at >= 0. */
typedef struct test_heap {
    long fail_at, calls, live; /* live: blocks not yet given back */
    size_t bytes, peak;
} test_heap;

static inline void *heap_resize(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    test_heap *h = ud;
    if (!new_size) {
        h->live -= ptr != NULL;
        h->bytes -= ptr ? old_size : 0;
        free(ptr);
        return NULL;
    }
    if (h->calls++ >= h->fail_at && h->fail_at >= 0) return NULL;
    void *p = realloc(ptr, new_size);
    if (!p) return NULL;
    h->live += ptr == NULL;
    h->bytes += new_size - (ptr ? old_size : 0);
    if (h->bytes > h->peak) h->peak = h->bytes;
    return p;
}

/* For what isn't about memory: counts nothing, never fails, and has no state. */
static inline void *heap_plain(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    (void)ud, (void)old_size;
    if (new_size) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

#endif
