#include "hub/extent.h"

/* A cursor that remembers how far it would have to see. */
typedef struct cursor {
    span s;
    uint64_t at, size, need; /* need > s.len: the bytes run out */
    bool broken;
    bool big; /* big-endian */
} cursor;

static uint64_t number(const uint8_t *p, size_t n, bool big)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++) x = x << 8 | p[big ? i : n - 1 - i];
    return x;
}

/* Goes past n bytes; false: they are not at hand, or can't be in the file. */
static bool skip(cursor *c, uint64_t n)
{
    if (n > c->size - c->at) {
        c->broken = true;
        return false;
    }
    c->need = c->at + n;
    if (c->need > c->s.len) return false;
    c->at += n;
    return true;
}

static bool take(cursor *c, size_t n, uint64_t *out)
{
    uint64_t at = c->at;
    if (!skip(c, n)) return false;
    *out = number(c->s.ptr + at, n, c->big);
    return true;
}

static bool skip_string(cursor *c)
{
    uint64_t n;
    return take(c, 8, &n) && skip(c, n);
}

pg_code extent_safetensors(span have, uint64_t size, uint64_t *need, pg_error *e)
{
    cursor c = {.s = have, .size = size};
    uint64_t n = 0;
    *need = 8;
    if (take(&c, 8, &n)) {
        if (n > EXTENT_SAFETENSORS_MOST)
            return error_at(e, PG_E_LIMIT, 0, "says that its header has %llu bytes; safetensors allows %d",
                            (unsigned long long)n, EXTENT_SAFETENSORS_MOST);
        skip(&c, n);
        *need = c.need;
    }
    if (c.broken) return error_at(e, PG_E_TRUNCATED, 0, "is shorter than its header says: not a safetensors file");
    return PG_E_OK;
}

/* Bytes of a value of a type; 0: a string, an array, or unknown. */
static unsigned scalar_size(uint64_t type)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof sizes ? sizes[type] : 0;
}

enum { GGUF_STRING = 8, GGUF_ARRAY = 9, GGUF_TYPES = 13, NESTED_MOST = 4 };

static bool skip_value(cursor *c, uint64_t type, unsigned depth)
{
    uint64_t inner, count;
    if (type == GGUF_STRING) return skip_string(c);
    if (type != GGUF_ARRAY) return skip(c, scalar_size(type));
    if (!take(c, 4, &inner) || !take(c, 8, &count)) return false;
    unsigned each = scalar_size(inner);
    if (inner >= GGUF_TYPES || depth == NESTED_MOST || count > c->size / (each ? each : 1)) {
        c->broken = true;
        return false;
    }
    if (each) return skip(c, count * each);
    for (uint64_t i = 0; i < count; i++)
        if (!skip_value(c, inner, depth + 1)) return false;
    return true;
}

static bool skip_pair(cursor *c)
{
    uint64_t type;
    if (!skip_string(c) || !take(c, 4, &type)) return false;
    if (type >= GGUF_TYPES) c->broken = true;
    return !c->broken && skip_value(c, type, 0);
}

static bool skip_tensor(cursor *c)
{
    uint64_t rank;
    if (!skip_string(c) || !take(c, 4, &rank)) return false;
    return skip(c, rank * 8) && skip(c, 4 + 8);
}

pg_code extent_gguf(span have, uint64_t size, uint64_t *need, pg_error *e)
{
    cursor c = {.s = have, .size = size};
    uint64_t magic, version, tensors, pairs;
    bool more = take(&c, 4, &magic) && take(&c, 4, &version);
    if (more && version > UINT16_MAX) {
        c.big = true;
        version = number(have.ptr + 4, 4, true);
    }

    if (more && (magic != 0x46554747 || (version != 2 && version != 3)))
        return error_at(e, PG_E_FORMAT, 0, "is not a GGUF file of version 2 or 3");
    more = more && take(&c, 8, &tensors) && take(&c, 8, &pairs);
    for (uint64_t i = 0; more && i < pairs; i++) more = skip_pair(&c);
    for (uint64_t i = 0; more && i < tensors; i++) more = skip_tensor(&c);
    *need = c.need;
    if (c.broken) return error_at(e, PG_E_FORMAT, c.at, "has a header that makes no sense: not a whole GGUF file");
    if (*need > EXTENT_GGUF_MOST)
        return error_at(e, PG_E_LIMIT, 0, "has a header of more than %d MB", EXTENT_GGUF_MOST >> 20);
    return PG_E_OK;
}
