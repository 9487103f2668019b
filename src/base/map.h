/* String to number: open addressing in an arena. Keys are views and must outlive the map. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

typedef struct map_slot {
    uint64_t hash;
    str key;
    uint32_t value;
    bool used;
} map_slot;

typedef struct map {
    arena *a;
    map_slot *slots;
    uint32_t count, cap; /* cap: a power of two, or 0 */
} map;

void map_init(map *m, arena *a);
/* Room for n keys at once: a map that grows to that leaves its smaller tables behind in the arena. */
bool map_reserve(map *m, uint32_t n);
/* The value's place, or NULL when the key is not there. */
uint32_t *map_find(const map *m, str key);
/* Finds the key or adds it with value `fallback`; *added tells which. NULL only when out of memory. */
uint32_t *map_add(map *m, str key, uint32_t fallback, bool *added);

#endif
