#include "wire/flexbuffer.h"

enum { KIND_INT = 1, KIND_UINT = 2, KIND_MAP = 9 };

/* `width` bytes at `at`; false: outside. */
static bool number(span s, uint64_t at, unsigned width, uint64_t *out)
{
    if ((width != 1 && width != 2 && width != 4 && width != 8) || at > s.len || width > s.len - at) return false;
    *out = 0;
    for (unsigned i = 0; i < width; i++) *out |= (uint64_t)s.ptr[at + i] << (8 * i);
    return true;
}

/* Where the distance back that stands at `at` leads. */
static bool back(span s, uint64_t at, unsigned width, uint64_t *out)
{
    uint64_t distance;
    if (!number(s, at, width, &distance) || distance > at) return false;
    *out = at - distance;
    return true;
}

typedef struct flex_map {
    span s;
    uint64_t at, keys, n; /* first element, first key */
    unsigned width, key_width;
} flex_map;

static bool open_map(span s, flex_map *m)
{
    uint64_t key_width;
    if (s.len < 3) return false;
    unsigned root = s.ptr[s.len - 1], type = s.ptr[s.len - 2];
    if (type >> 2 != KIND_MAP || root > s.len - 2) return false;
    *m = (flex_map){.s = s, .width = 1u << (type & 3)};
    uint64_t head = 3 * (uint64_t)m->width;
    if (!back(s, s.len - 2 - root, root, &m->at) || m->at < head) return false;
    if (!back(s, m->at - head, m->width, &m->keys) ||
        !number(s, m->at - 2 * (uint64_t)m->width, m->width, &key_width) ||
        !number(s, m->at - m->width, m->width, &m->n))
        return false;
    m->key_width = key_width <= 8 ? (unsigned)key_width : 0;
    return m->n <= (s.len - m->at) / (m->width + 1u);
}

static bool key_is(const flex_map *m, uint64_t i, const char *name)
{
    uint64_t at, n = strlen(name) + 1;
    if (i * m->key_width > m->s.len || !back(m->s, m->keys + i * m->key_width, m->key_width, &at)) return false;
    return at <= m->s.len && n <= m->s.len - at && !memcmp(m->s.ptr + at, name, n);
}

bool flexbuffer_int(span bytes, const char *name, int64_t *out)
{
    flex_map m;
    if (!open_map(bytes, &m)) return false;
    for (uint64_t i = 0; i < m.n; i++) {
        uint64_t value;
        if (!key_is(&m, i, name)) continue;
        unsigned kind = m.s.ptr[m.at + m.n * m.width + i] >> 2;
        if ((kind != KIND_INT && kind != KIND_UINT) || !number(m.s, m.at + i * m.width, m.width, &value)) return false;
        unsigned bits = 8 * m.width;
        if (kind == KIND_INT && bits < 64 && value >> (bits - 1)) value |= ~(uint64_t)0 << bits;
        *out = (int64_t)value;
        return true;
    }
    return false;
}
