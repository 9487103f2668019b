/* Any bytes as an HDF5 file: the walk over its objects ends, texts lie in the file, errors are one line. */
#include "wire/hdf5.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH = 8, MEMORY = 16 << 20 };

static void check_inside(const hdf5 *h, const char *ptr, size_t len, const char *what)
{
    const char *from = (const char *)h->file.ptr;
    check(!len || (ptr >= from && ptr + len <= from + h->file.len), what);
}

static void walk(hdf5 *h, uint64_t at, unsigned depth, pg_error *e)
{
    hdf5_object o;
    pg_code code = hdf5_read(h, at, &o, e);
    check(code == e->code && (!code || e->text[0]), "an error has its code and a text");
    for (uint32_t i = 0; !code && i < o.n_attrs; i++) {
        check_inside(h, o.attrs[i].name.ptr, o.attrs[i].name.len, "an attribute's name lies in the file");
        check_inside(h, (const char *)o.attrs[i].data.ptr, o.attrs[i].data.len, "its data lie in the file");
        for (uint64_t k = 0; k < 4; k++) {
            str s = hdf5_text(h, &o.attrs[i], k);
            check_inside(h, s.ptr, s.len, "its text lies in the file");
        }
    }
    for (uint32_t i = 0; !code && i < o.n_links && depth < DEPTH && !e->code; i++) {
        check_inside(h, o.links[i].name.ptr, o.links[i].name.len, "a link's name lies in the file");
        walk(h, o.links[i].object, depth + 1, e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_heap heap = {.fail_at = -1};
    arena a;
    hdf5 h;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, (allocator){heap_resize, &heap}, MEMORY);
    pg_code code = hdf5_open(&h, (span){data, size, 0}, &a, &e);
    check(code == e.code && (code == PG_E_FORMAT || hdf5_is((span){data, size, 0})), "an error is told");
    if (!code) {
        h.budget = 1 << 12;
        walk(&h, h.root, 0, &e);
    }
    for (const char *p = e.text; *p; p++) check((unsigned char)*p >= 0x20, "an error is one line");
    arena_free(&a);
    check(heap.live == 0 && heap.bytes == 0, "all memory is given back");
    return 0;
}
