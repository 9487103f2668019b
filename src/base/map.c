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

static bool map_rehash(map *m)
{
    map bigger = {m->a, NULL, m->count, m->cap ? m->cap * 2 : 16};
    if (m->cap > UINT32_MAX / 4) return false;
    bigger.slots = ARENA_ARRAY(m->a, map_slot, bigger.cap);
    if (!bigger.slots) return false;
    for (uint32_t i = 0; i < m->cap; i++)
        if (m->slots[i].used) *probe(&bigger, m->slots[i].hash, m->slots[i].key) = m->slots[i];
    *m = bigger;
    return true;
}

uint32_t *map_add(map *m, str key, uint32_t fallback, bool *added)
{
    if ((!m->cap || (m->count + 1) * 3 > m->cap * 2) && !map_rehash(m)) return NULL;
    uint64_t hash = str_hash(key);
    map_slot *s = probe(m, hash, key);
    *added = !s->used;
    if (*added) {
        *s = (map_slot){hash, key, fallback, true};
        m->count++;
    }
    return &s->value;
}
