/* A bump allocator: many small objects, freed at once.
 *
 * All memory of the library goes through one function, as in Lua: (ud, ptr, old size, new size); new size 0 frees.
 * The old size is passed in, so that a budget or a failing test allocator needs no header per block.
 * An arena may be given a limit in bytes; going over it fails like running out of memory and sets `limited`. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/libc.h"

typedef struct allocator {
    void *(*resize)(void *ud, void *ptr, size_t old_size, size_t new_size);
    void *ud;
} allocator;

typedef struct arena_block arena_block;

typedef struct arena {
    allocator alloc;
    arena_block *blocks; /* newest first */
    size_t used;         /* bytes handed out */
    size_t reserved;     /* bytes taken from the allocator */
    size_t limit;        /* reserved may not pass this; 0: no limit */
    bool failed;         /* sticky: an allocation failed */
    bool limited;        /* ... because of the limit */
} arena;

void arena_init(arena *a, allocator alloc, size_t limit);
void arena_free(arena *a);
/* Drops everything but keeps the newest block for reuse. */
void arena_reset(arena *a);

/* Zeroed memory aligned to 16, or NULL (a->failed is then set). size 0 gives a valid, unique-enough pointer. */
void *arena_alloc(arena *a, size_t size);
/* count * size with overflow checked. */
void *arena_array(arena *a, size_t count, size_t size);
/* Grows an array made by arena_array: in place where it is the last object, else by copying. */
void *arena_grow(arena *a, void *old, size_t old_count, size_t new_count, size_t size);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), (n), sizeof(type)))

#endif
