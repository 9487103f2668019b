#include "wire/flatbuffer.h"

static uint64_t load(const flatbuffer *f, uint64_t at, unsigned width)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < width; i++) v |= (uint64_t)f->file.ptr[at + i] << (8 * i);
    return v;
}

/* Whether `n` bytes from `at` on lie in the file. */
static bool inside(const flatbuffer *f, uint64_t at, uint64_t n)
{
    return at <= f->file.len && n <= f->file.len - at;
}

static void fail(const flatbuffer *f, uint64_t at, const char *what)
{
    error_at(f->e, PG_E_TRUNCATED, f->file.base + at, "%s; the file is cut off or damaged: fetch or convert it again",
             what);
}

static flatbuffer_table table_at(const flatbuffer *f, uint64_t at)
{
    flatbuffer_table t = {NULL, at, 0, 0, 0};
    if (!inside(f, at, 4)) {
        fail(f, at, "a table lies outside of the file");
        return t;
    }
    int64_t vtable = (int64_t)at - (int32_t)load(f, at, 4);
    if (vtable < 0 || !inside(f, (uint64_t)vtable, 4)) {
        fail(f, at, "a table's vtable lies outside of the file");
        return t;
    }
    t.vtable = (uint64_t)vtable;
    t.vtable_size = (uint32_t)load(f, t.vtable, 2);
    t.size = (uint32_t)load(f, t.vtable + 2, 2);
    if (t.vtable_size < 4 || t.vtable_size % 2 || !inside(f, t.vtable, t.vtable_size)) {
        fail(f, t.vtable, "a vtable's size is impossible");
    } else if (t.size < 4 || !inside(f, at, t.size)) {
        fail(f, at, "a table is larger than the rest of the file");
    } else {
        t.owner = f;
    }
    return t;
}

/* The target of the offset at `at`, which lies in the file. */
static uint64_t follow(const flatbuffer *f, uint64_t at)
{
    return at + load(f, at, 4);
}

/* Where a field of `width` bytes lies; 0: not given, or not in its table. */
static uint64_t place(const flatbuffer_table *t, unsigned id, unsigned width)
{
    uint32_t slot = 4 + 2 * id;
    if (!t->owner || error_is_set(t->owner->e) || slot + 2 > t->vtable_size) return 0;
    uint32_t offset = (uint32_t)load(t->owner, t->vtable + slot, 2);
    if (!offset) return 0;
    if (offset < 4 || offset + width > t->size) {
        fail(t->owner, t->vtable + slot, "a field lies outside of its table");
        return 0;
    }
    return t->at + offset;
}

bool flatbuffer_is(span file, const char *identifier)
{
    return file.len >= 8 && !memcmp(file.ptr + 4, identifier, 4);
}

flatbuffer_table flatbuffer_root(const flatbuffer *f)
{
    if (f->file.len < 8) {
        fail(f, 0, "there is no root table");
        return (flatbuffer_table){0};
    }
    return table_at(f, follow(f, 0));
}

bool flatbuffer_has(const flatbuffer_table *t, unsigned id)
{
    return place(t, id, 1) != 0;
}

int64_t flatbuffer_i8(const flatbuffer_table *t, unsigned id, int64_t fallback)
{
    uint64_t at = place(t, id, 1);
    return at ? (int8_t)load(t->owner, at, 1) : fallback;
}

int64_t flatbuffer_u8(const flatbuffer_table *t, unsigned id, int64_t fallback)
{
    uint64_t at = place(t, id, 1);
    return at ? (int64_t)load(t->owner, at, 1) : fallback;
}

int64_t flatbuffer_i32(const flatbuffer_table *t, unsigned id, int64_t fallback)
{
    uint64_t at = place(t, id, 4);
    return at ? (int32_t)load(t->owner, at, 4) : fallback;
}

int64_t flatbuffer_u32(const flatbuffer_table *t, unsigned id, int64_t fallback)
{
    uint64_t at = place(t, id, 4);
    return at ? (int64_t)load(t->owner, at, 4) : fallback;
}

int64_t flatbuffer_i64(const flatbuffer_table *t, unsigned id, int64_t fallback)
{
    uint64_t at = place(t, id, 8);
    return at ? (int64_t)load(t->owner, at, 8) : fallback;
}

double flatbuffer_f32(const flatbuffer_table *t, unsigned id, double fallback)
{
    uint64_t at = place(t, id, 4);
    if (!at) return fallback;
    uint32_t bits = (uint32_t)load(t->owner, at, 4);
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

flatbuffer_table flatbuffer_child(const flatbuffer_table *t, unsigned id)
{
    uint64_t at = place(t, id, 4);
    return at ? table_at(t->owner, follow(t->owner, at)) : (flatbuffer_table){0};
}

flatbuffer_vector flatbuffer_list(const flatbuffer_table *t, unsigned id, unsigned width)
{
    flatbuffer_vector none = {NULL, 0, 0};
    uint64_t field = place(t, id, 4);
    if (!field) return none;
    const flatbuffer *f = t->owner;
    uint64_t at = follow(f, field);
    if (!inside(f, at, 4)) {
        fail(f, field, "a list lies outside of the file");
        return none;
    }
    uint32_t n = (uint32_t)load(f, at, 4);
    if (!inside(f, at + 4, (uint64_t)n * width)) {
        fail(f, at, "a list is longer than the rest of the file");
        return none;
    }
    return (flatbuffer_vector){f, at + 4, n};
}

span flatbuffer_bytes(const flatbuffer_table *t, unsigned id)
{
    flatbuffer_vector v = flatbuffer_list(t, id, 1);
    return v.owner ? (span){v.owner->file.ptr + v.at, v.n, v.owner->file.base + v.at} : (span){NULL, 0, 0};
}

str flatbuffer_text(const flatbuffer_table *t, unsigned id)
{
    return span_str(flatbuffer_bytes(t, id));
}

int32_t flatbuffer_list_i32(const flatbuffer_vector *v, uint32_t i)
{
    return (int32_t)load(v->owner, v->at + (uint64_t)i * 4, 4);
}

int64_t flatbuffer_list_i64(const flatbuffer_vector *v, uint32_t i)
{
    return (int64_t)load(v->owner, v->at + (uint64_t)i * 8, 8);
}

flatbuffer_table flatbuffer_list_table(const flatbuffer_vector *v, uint32_t i)
{
    return table_at(v->owner, follow(v->owner, v->at + (uint64_t)i * 4));
}
