#include "base/arena.h"

/* Block layout:  [ arena_block header | data ... used | free ... size ]
 * Blocks double up to BLOCK_MAX; an object larger than that gets a block of its own. */
struct arena_block {
    arena_block *next;
    size_t size; /* of data */
    size_t used;
    size_t pad; /* keeps data aligned to 16 */
};

enum { BLOCK_MIN = 4096, BLOCK_MAX = 1 << 18, ALIGN = 16 };

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
enum { REDZONE = 16 };
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
enum { REDZONE = 0 };
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

static unsigned char *block_data(arena_block *b)
{
    return (unsigned char *)(b + 1);
}

void arena_init(arena *a, allocator alloc, size_t limit)
{
    memset(a, 0, sizeof *a);
    a->alloc = alloc;
    a->limit = limit;
}

static void block_release(arena *a, arena_block *b)
{
    UNPOISON(block_data(b), b->size);
    a->reserved -= sizeof *b + b->size;
    a->alloc.resize(a->alloc.ud, b, sizeof *b + b->size, 0);
}

void arena_free(arena *a)
{
    if (!a->alloc.resize) return;
    for (arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        block_release(a, b);
    }
    arena_init(a, a->alloc, a->limit);
}

void arena_reset(arena *a)
{
    arena_block *keep = a->blocks;
    if (keep) {
        for (arena_block *b = keep->next, *next; b; b = next) {
            next = b->next;
            block_release(a, b);
        }
        keep->next = NULL;
        keep->used = 0;
        POISON(block_data(keep), keep->size);
    }
    a->used = 0;
    a->failed = a->limited = false;
}

static arena_block *block_add(arena *a, size_t need)
{
    size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
    if (size > BLOCK_MAX) size = BLOCK_MAX;
    if (size < need) size = need;
    if (size > SIZE_MAX - sizeof(arena_block)) return NULL;
    size_t total = size + sizeof(arena_block);
    if (a->limit && (total > a->limit || a->reserved > a->limit - total)) {
        a->limited = true;
        return NULL;
    }
    arena_block *b = a->alloc.resize(a->alloc.ud, NULL, 0, total);
    if (!b) return NULL;
    b->size = size;
    b->used = 0;
    b->pad = 0;
    b->next = a->blocks;
    a->blocks = b;
    a->reserved += total;
    POISON(block_data(b), size);
    return b;
}

/* Bytes that an object takes in its block; 0: more than there can be. */
static size_t room_for(size_t size)
{
    if (size > SIZE_MAX - (ALIGN + REDZONE)) return 0;
    size_t need = ((size + ALIGN - 1) & ~(size_t)(ALIGN - 1)) + REDZONE;
    return need ? need : ALIGN;
}

void *arena_alloc(arena *a, size_t size)
{
    size_t need = room_for(size);
    if (!need) {
        a->failed = true;
        return NULL;
    }
    arena_block *b = a->blocks;
    if (!b || b->size - b->used < need) b = block_add(a, need);
    if (!b) {
        a->failed = true;
        return NULL;
    }
    unsigned char *p = block_data(b) + b->used;
    b->used += need;
    a->used += need;
    UNPOISON(p, size);
    memset(p, 0, size);
    return p;
}

void *arena_array(arena *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) {
        a->failed = true;
        return NULL;
    }
    return arena_alloc(a, count * size);
}

/* Makes the newest object of the newest block larger. */
static bool grow_newest(arena *a, void *old, size_t old_size, size_t new_size)
{
    arena_block *b = a->blocks;
    size_t had = room_for(old_size), need = room_for(new_size);
    if (!b || !had || need < had || (unsigned char *)old + had != block_data(b) + b->used) return false;
    if (need - had > b->size - b->used) return false;
    b->used += need - had;
    a->used += need - had;
    UNPOISON(old, new_size);
    memset((unsigned char *)old + old_size, 0, new_size - old_size);
    return true;
}

void *arena_grow(arena *a, void *old, size_t old_count, size_t new_count, size_t size)
{
    bool fits = !size || new_count <= SIZE_MAX / size;
    if (fits && old && old_count && new_count > old_count && grow_newest(a, old, old_count * size, new_count * size))
        return old;
    void *p = arena_array(a, new_count, size);
    if (p && old && old_count) memcpy(p, old, (old_count < new_count ? old_count : new_count) * size);
    return p;
}
