#include "api/api.h"

#include <stdlib.h>

static void *libc_resize(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    (void)ud;
    (void)old_size;
    if (new_size) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

allocator api_allocator(const pg_allocator *a)
{
    if (a && a->resize) return (allocator){a->resize, a->ud};
    return (allocator){libc_resize, NULL};
}

void *api_new(allocator alloc, size_t size, pg_error *e)
{
    void *p = alloc.resize(alloc.ud, NULL, 0, size);
    if (p) memset(p, 0, size);
    else error_nomem(e, NULL);
    return p;
}

void api_delete(allocator alloc, void *p, size_t size)
{
    if (p) alloc.resize(alloc.ud, p, size, 0);
}

const char *api_text(arena *a, str s)
{
    return str_copy(a, s).ptr;
}

const char *pg_version(void)
{
    return PHANTOM_VERSION;
}
