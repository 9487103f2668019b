#include "base/map.h"

void map_init(map *m, arena *a)
{
    *m = (map){a, NULL, 0, 0};
}

static map_slot *probe(const map *m, uint64_t hash, str key)
{
    uint32_t mask = m->cap - 1;
    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        map_slot *s = &m->slots[i];
        if (!s->used || (s->hash == hash && str_eq(s->key, key))) return s;
    }
}

uint32_t *map_find(const map *m, str key)
{
    if (!m->cap) return NULL;
    map_slot *s = probe(m, str_hash(key), key);
    return s->used ? &s->value : NULL;
}

static bool map_rehash(map *m, uint32_t cap)
{
    map bigger = {m->a, NULL, m->count, cap};
    bigger.slots = ARENA_ARRAY(m->a, map_slot, bigger.cap);
    if (!bigger.slots) return false;
    for (uint32_t i = 0; i < m->cap; i++)
        if (m->slots[i].used) *probe(&bigger, m->slots[i].hash, m->slots[i].key) = m->slots[i];
    *m = bigger;
    return true;
}

static bool is_full(uint64_t count, uint32_t cap)
{
    return count * 3 > (uint64_t)cap * 2;
}

bool map_reserve(map *m, uint32_t n)
{
    uint32_t cap = m->cap ? m->cap : 16;
    for (; is_full(n, cap); cap *= 2)
        if (cap > UINT32_MAX / 4) return false;
    return cap == m->cap || map_rehash(m, cap);
}

uint32_t *map_add(map *m, str key, uint32_t fallback, bool *added)
{
    if ((!m->cap || is_full((uint64_t)m->count + 1, m->cap)) && !map_reserve(m, m->count + 1)) return NULL;
    uint64_t hash = str_hash(key);
    map_slot *s = probe(m, hash, key);
    *added = !s->used;
    if (*added) {
        *s = (map_slot){hash, key, fallback, true};
        m->count++;
    }
    return &s->value;
}
