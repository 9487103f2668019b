#include "wire/safetensors.h"

#include "base/map.h"

#include <stdlib.h>

static const safetensors_dtype dtypes[] = {
    {"BOOL", 8},    {"U8", 8},      {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8},     {"F8_E8M0", 8},
    {"I16", 16},    {"U16", 16},    {"F16", 16}, {"BF16", 16},   {"I32", 32},        {"U32", 32},
    {"F32", 32},    {"F64", 64},    {"I64", 64}, {"U64", 64},    {"C64", 64},        {"F4", 4},
    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"I4", 4},   {"U4", 4},      {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
};

/* The row of the format's types, or NULL. */
static const safetensors_dtype *dtype_find(str name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (str_is(name, dtypes[i].name)) return &dtypes[i];
    return NULL;
}

static pg_code find_header(span file, span *header, pg_error *e)
{
    if (file.len < 8)
        return error_set(e, PG_E_TRUNCATED, "the file has %zu bytes; a safetensors file begins with 8", file.len);
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | file.ptr[i];
    if (n > SAFETENSORS_HEADER_MOST)
        return error_set(e, PG_E_LIMIT,
                         "the header should have %llu bytes; more than %d MB is no safetensors file: fetch it again",
                         (unsigned long long)n, SAFETENSORS_HEADER_MOST >> 20);
    if (n > file.len - 8)
        return error_set(e, PG_E_TRUNCATED,
                         "the safetensors header has %llu bytes, but only %zu follow; download the file again",
                         (unsigned long long)n, file.len - 8);
    *header = (span){file.ptr + 8, (size_t)n, file.base + 8};
    if (!n || header->ptr[0] != '{') return error_at(e, PG_E_FORMAT, 8, "the header is not a JSON object");
    return PG_E_OK;
}

/* ---- the header's JSON: as much of it as occurs ---- */

typedef struct text {
    const uint8_t *start, *at, *end;
    uint64_t base;
    pg_error *e;
} text;

static pg_code wrong(text *t, const char *what)
{
    return error_at(t->e, PG_E_FORMAT, t->base + (uint64_t)(t->at - t->start), "the header is not valid: %s expected",
                    what);
}

static uint8_t peek(text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t' || *t->at == '\r')) t->at++;
    return t->at < t->end ? *t->at : 0;
}

static bool take(text *t, uint8_t c)
{
    if (peek(t) != c || t->at == t->end) return false;
    t->at++;
    return true;
}

static bool quoted(text *t, str *out)
{
    if (!take(t, '"')) return false;
    const uint8_t *from = t->at;
    for (; t->at < t->end && *t->at != '"'; t->at++) {
        if (*t->at < 0x20) return false;
        if (*t->at == '\\' && ++t->at == t->end) return false;
    }
    if (t->at == t->end) return false;
    *out = (str){(const char *)from, (size_t)(t->at - from)};
    t->at++;
    return true;
}

static bool number(text *t, uint64_t *out)
{
    uint64_t n = 0;
    int digits = 0;
    peek(t);
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++, digits++) {
        if (n > (UINT64_MAX - 9) / 10) return false;
        n = 10 * n + (uint64_t)(*t->at - '0');
    }
    *out = n;
    return digits > 0 && (t->at == t->end || (*t->at != '.' && *t->at != 'e' && *t->at != 'E'));
}

/* {"key": "text", ...} */
static pg_code skip_metadata(text *t)
{
    str s;
    if (!take(t, '{')) return wrong(t, "an object");
    if (take(t, '}')) return PG_E_OK;
    do {
        if (!quoted(t, &s) || !take(t, ':') || !quoted(t, &s)) return wrong(t, "a text in \"__metadata__\"");
    } while (take(t, ','));
    return take(t, '}') ? PG_E_OK : wrong(t, "} or ,");
}

static pg_code read_shape(text *t, safetensors_tensor *x)
{
    uint64_t n;
    if (!take(t, '[')) return wrong(t, "a list of dimensions");
    x->rank = 0;
    if (take(t, ']')) return PG_E_OK;
    do {
        if (!number(t, &n) || n > INT64_MAX) return wrong(t, "a dimension");
        if (x->rank == SAFETENSORS_RANK) return wrong(t, "a shape of at most 8 dimensions");
        x->dims[x->rank++] = (int64_t)n;
    } while (take(t, ','));
    return take(t, ']') ? PG_E_OK : wrong(t, "] or ,");
}

static pg_code read_tensor(text *t, safetensors_tensor *x)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
    unsigned seen = 0;
    str key;
    if (!take(t, '{')) return wrong(t, "an object with dtype, shape and data_offsets");
    do {
        if (!quoted(t, &key) || !take(t, ':')) return wrong(t, "a key");
        unsigned which = str_is(key, "dtype")        ? DTYPE
                       : str_is(key, "shape")        ? SHAPE
                       : str_is(key, "data_offsets") ? OFFSETS
                                                     : 0;
        if (!which || (seen & which)) return wrong(t, "dtype, shape and data_offsets, once each");
        seen |= which;
        if (which == DTYPE && !quoted(t, &x->dtype)) return wrong(t, "a dtype");
        if (which == SHAPE) {
            pg_code code = read_shape(t, x);
            if (code) return code;
        }
        if (which == OFFSETS &&
            (!take(t, '[') || !number(t, &x->begin) || !take(t, ',') || !number(t, &x->end) || !take(t, ']')))
            return wrong(t, "two offsets");
    } while (take(t, ','));
    if (!take(t, '}')) return wrong(t, "} or ,");
    return seen == (DTYPE | SHAPE | OFFSETS) ? PG_E_OK : wrong(t, "dtype, shape and data_offsets");
}

/* ---- what must hold ---- */

static pg_code check_size(const safetensors_tensor *x, uint64_t data, pg_error *e)
{
    const safetensors_dtype *d = dtype_find(x->dtype);
    uint64_t n = 1;
    if (!d)
        return error_set(e, PG_E_UNSUPPORTED, "tensor '%.*s' has the unknown dtype '%.*s'", STR_ARG(x->name),
                         STR_ARG(x->dtype));
    for (int i = 0; i < x->rank; i++)
        if (__builtin_mul_overflow(n, (uint64_t)x->dims[i], &n))
            return error_set(e, PG_E_FORMAT, "tensor '%.*s' has more elements than there can be", STR_ARG(x->name));
    uint64_t bits = 0;
    if (x->begin > x->end) return error_set(e, PG_E_FORMAT, "tensor '%.*s' ends before it begins", STR_ARG(x->name));
    if (__builtin_mul_overflow(n, (uint64_t)d->bits, &bits) || (bits + 7) / 8 != x->end - x->begin)
        return error_set(e, PG_E_FORMAT, "tensor '%.*s' takes %llu bytes, which its dtype %s and shape contradict",
                         STR_ARG(x->name), (unsigned long long)(x->end - x->begin), d->name);
    if (x->end > data)
        return error_set(e, PG_E_TRUNCATED,
                         "the data of tensor '%.*s' end at byte %llu, but there are only %llu; download the file again",
                         STR_ARG(x->name), (unsigned long long)x->end, (unsigned long long)data);
    return PG_E_OK;
}

static int by_place(const void *a, const void *b)
{
    const safetensors_tensor *x = *(const safetensors_tensor *const *)a, *y = *(const safetensors_tensor *const *)b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static pg_code check_places(const safetensors_tensor *tensors, size_t count, uint64_t data, arena *a, pg_error *e)
{
    const safetensors_tensor **order = ARENA_ARRAY(a, const safetensors_tensor *, count + 1);
    uint64_t at = 0;
    if (!order) return error_nomem(e, a);
    for (size_t i = 0; i < count; i++) order[i] = &tensors[i];
    qsort(order, count, sizeof *order, by_place);
    for (size_t i = 0; i < count; i++) {
        if (order[i]->begin < at)
            return error_set(e, PG_E_FORMAT, "tensors '%.*s' and '%.*s' overlap", STR_ARG(order[i - 1]->name),
                             STR_ARG(order[i]->name));
        if (order[i]->begin > at)
            return error_set(e, PG_E_FORMAT, "the %llu bytes in front of tensor '%.*s' belong to no tensor",
                             (unsigned long long)(order[i]->begin - at), STR_ARG(order[i]->name));
        at = order[i]->end;
    }
    if (at != data)
        return error_set(e, PG_E_FORMAT, "the last %llu bytes of the file belong to no tensor",
                         (unsigned long long)(data - at));
    return PG_E_OK;
}

static pg_code read_all(text *t, arena *a, safetensors_tensor **out, size_t *count)
{
    safetensors_tensor *list = NULL;
    size_t n = 0, cap = 0;
    map names;
    map_init(&names, a);
    if (!take(t, '{')) return wrong(t, "an object");
    bool more = peek(t) != '}';
    while (more) {
        str name;
        if (!quoted(t, &name) || !take(t, ':')) return wrong(t, "a tensor's name");
        bool added;
        if (!map_add(&names, name, 0, &added)) return error_nomem(t->e, a);
        if (!added) return error_set(t->e, PG_E_FORMAT, "the name '%.*s' occurs twice", STR_ARG(name));
        if (str_is(name, "__metadata__")) {
            pg_code code = skip_metadata(t);
            if (code) return code;
        } else {
            if (n == cap) {
                size_t grown = cap ? 2 * cap : 64;
                list = arena_grow(a, list, cap, grown, sizeof *list);
                if (!list) return error_nomem(t->e, a);
                cap = grown;
            }
            memset(&list[n], 0, sizeof *list);
            list[n].name = name;
            pg_code code = read_tensor(t, &list[n++]);
            if (code) return code;
        }
        more = take(t, ',');
    }
    if (!take(t, '}')) return wrong(t, "} or ,");
    peek(t);
    if (t->at != t->end) return wrong(t, "nothing behind the object");
    *out = list;
    *count = n;
    return PG_E_OK;
}

pg_code safetensors_read(span file, arena *a, safetensors_tensor **tensors, size_t *count, pg_error *e)
{
    span header = {NULL, 0, 0};
    pg_code code = find_header(file, &header, e);
    if (code) return code;
    text t = {header.ptr, header.ptr, header.ptr + header.len, header.base, e};
    *tensors = NULL;
    *count = 0;
    code = read_all(&t, a, tensors, count);
    uint64_t data = file.len - 8 - header.len;
    for (size_t i = 0; i < *count && !code; i++) code = check_size(&(*tensors)[i], data, e);
    return code ? code : check_places(*tensors, *count, data, a, e);
}
