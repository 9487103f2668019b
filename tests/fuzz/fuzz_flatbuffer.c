/* The reader of FlatBuffers: any bytes as a tree of tables, every field of which is read as everything that it could be. What it
 * hands out lies in the bytes, and reading the same twice gives the same. */
#include "wire/flatbuffer.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 14, DEPTH = 6, ELEMENTS = 16 };

typedef struct walk {
    const uint8_t *data;
    size_t size;
    unsigned budget;
    uint64_t sum;
} walk;

static void check_span(walk *w, span s)
{
    if (!s.len) return;
    check(s.ptr >= w->data && s.len <= w->size && s.ptr + s.len <= w->data + w->size, "a view lies in the bytes");
    check(s.base == (uint64_t)(s.ptr - w->data), "a view knows its place");
    w->sum += s.ptr[0] + s.ptr[s.len - 1];
}

static void read_numbers(walk *w, const flatbuffer_table *t, unsigned id)
{
    w->sum += (uint64_t)flatbuffer_i8(t, id, 1) + (uint64_t)flatbuffer_u8(t, id, 1) +
              (uint64_t)flatbuffer_i32(t, id, 1) + (uint64_t)flatbuffer_u32(t, id, 1) +
              (uint64_t)flatbuffer_i64(t, id, 1);
    check(!(flatbuffer_f32(t, id, 0) != 0) || flatbuffer_has(t, id), "a number is there or has its default");
}

static void read_table(walk *w, const flatbuffer_table *t, unsigned depth)
{
    if (depth > DEPTH || w->budget == 0) return;
    w->budget--;
    for (unsigned id = 0; id < FIELDS; id++) {
        pg_error e = PG_ERROR_INIT; /* each reading on its own: a field is of one type only */
        flatbuffer fresh;
        flatbuffer_table at = *t;
        if (!t->owner) return;
        fresh = (flatbuffer){t->owner->file, &e};
        at.owner = &fresh;
        read_numbers(w, &at, id);
        e = (pg_error)PG_ERROR_INIT;
        check_span(w, flatbuffer_bytes(&at, id));
        e = (pg_error)PG_ERROR_INIT;
        flatbuffer_vector v = flatbuffer_list(&at, id, 8);
        for (uint32_t i = 0; i < v.n && i < ELEMENTS; i++) w->sum += (uint64_t)flatbuffer_list_i64(&v, v.n - 1 - i);
        e = (pg_error)PG_ERROR_INIT;
        flatbuffer_table child = flatbuffer_child(&at, id);
        check(!child.owner == (e.code != PG_E_OK) || !flatbuffer_has(&at, id),
              "a child is there, or an error says why");
        read_table(w, &child, depth + 1);
        e = (pg_error)PG_ERROR_INIT;
        v = flatbuffer_list(&at, id, 4);
        for (uint32_t i = 0; i < v.n && i < ELEMENTS; i++) {
            w->sum += (uint64_t)flatbuffer_list_i32(&v, v.n - 1 - i);
            e = (pg_error)PG_ERROR_INIT;
            child = flatbuffer_list_table(&v, i);
            read_table(w, &child, depth + 1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t before = 0;
    for (int round = 0; round < 2; round++) {
        pg_error e = PG_ERROR_INIT;
        walk w = {data, size, 100, 0};
        flatbuffer f = {{data, size, 0}, &e};
        flatbuffer_table root = flatbuffer_root(&f);
        check(!root.owner == (e.code != PG_E_OK), "a root, or an error");
        read_table(&w, &root, 0);
        check(!round || w.sum == before, "the same bytes give the same");
        before = w.sum;
    }
    return 0;
}
