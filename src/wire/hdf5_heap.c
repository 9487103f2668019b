/* Links and attributes that are many: a fractal heap holds them, a version 2 B-tree knows where.
 *
 * 1. Fractal heap: "FRHP", version, bytes of an id (2), of filters (2), flags, largest object (4), 2 lengths and offsets in turn that don't
 *    matter, 8 lengths, width of a row (2), size of the first block (L), of the largest direct block (L), bits of the heap's
 *    size (2), rows at first (2), root block, its rows (2; 0: the root is a direct block).
 * 2. The blocks of a row have one size; the first two rows that of the first block, each further row twice the one before. Rows of blocks
 *    above the largest direct block hold indirect blocks, which begin with the first row again.
 * 3. Indirect block: "FHIB", version, heap, its place in the heap (as many bytes as the bits of the heap's size need), blocks.
 *    Direct block: "FHDB", version, heap, place; objects are addressed by their place in the heap, from the block's first byte on.
 * 4. Id: a byte, whose bits 4 and 5 are the kind. 0: place (as above) and length in as few bytes as the largest object needs;
 *    2: the object itself, of bits 0 to 3 and one more bytes. 1, an object that is larger than a block, is not read. */
#include "wire/hdf5_internal.h"

enum { DEPTH = 16, ROWS = 64, NODE_OVERHEAD = 10 };

typedef struct heap {
    uint64_t root, first, direct; /* sizes of the first and the largest direct block */
    uint32_t width, rows, filters;
    unsigned place_bytes, length_bytes, head; /* head: of a block, before its children or data */
} heap;

/* Bytes that the number n needs, at least one. */
static unsigned bytes_for(uint64_t n)
{
    unsigned bytes = 1;
    while (n >>= 8) bytes++;
    return bytes;
}

static pg_code read_heap(hdf5 *h, uint64_t at, heap *x, pg_error *e)
{
    hdf5_cursor c = hdf5_at(h, at, UINT64_MAX);
    bool is = hdf5_magic(&c, "FRHP");
    hdf5_skip(&c, 3);
    x->filters = (uint32_t)hdf5_take(&c, 2);
    hdf5_skip(&c, 1);
    uint64_t largest = hdf5_take(&c, 4);
    hdf5_skip(&c, 10u * h->l + 2u * h->o);
    x->width = (uint32_t)hdf5_take(&c, 2);
    x->first = hdf5_length(&c);
    x->direct = hdf5_length(&c);
    uint64_t bits = hdf5_take(&c, 2);
    hdf5_skip(&c, 2);
    x->root = hdf5_offset(&c);
    x->rows = (uint32_t)hdf5_take(&c, 2);
    bool sane = bits >= 1 && bits <= 64 && x->width && x->first && x->direct >= x->first && x->rows <= ROWS;
    if (c.bad || !is || !sane) return hdf5_damaged(h, at, "heap of links or attributes", e);
    x->place_bytes = (unsigned)(bits + 7) / 8;
    unsigned direct_bytes = bytes_for(x->direct - 1), object_bytes = bytes_for(largest);
    x->length_bytes = direct_bytes < object_bytes ? direct_bytes : object_bytes;
    x->head = 5u + h->o + x->place_bytes;
    return PG_E_OK;
}

/* The size of the blocks of a row; 0: none are so large. */
static uint64_t row_size(const heap *x, uint32_t row)
{
    uint32_t shift = row ? row - 1 : 0;
    return shift < 64 && x->first << shift >> shift == x->first ? x->first << shift : 0;
}

/* Where in the file the byte at this place of the heap is, in the indirect block at `at` of `rows` rows. False: nowhere. */
static bool find_place(const hdf5 *h, const heap *x, uint64_t at, uint32_t rows, uint64_t place, uint64_t *out)
{
    for (unsigned depth = 0; depth < DEPTH; depth++) {
        uint64_t before = 0, child = 0, size = 0;
        uint32_t row = 0;
        for (; row < rows; row++) {
            size = row_size(x, row);
            if (!size || size > UINT64_MAX / x->width) return false;
            if (place / size < x->width) break;
            place -= size * x->width;
            before += x->width;
        }
        if (row == rows) return false;
        before += place / size;
        place %= size;
        hdf5_cursor c = hdf5_at(h, at, UINT64_MAX);
        bool is = hdf5_magic(&c, "FHIB");
        hdf5_skip(&c, x->head - 4 + before * h->o);
        child = hdf5_offset(&c);
        if (c.bad || !is || hdf5_none(h, child)) return false;
        at = child;
        if (size <= x->direct) {
            *out = at + place;
            return at <= h->file.len && place <= h->file.len - at;
        }
        rows = 0; /* of an indirect block: as many as add up to its size */
        for (uint64_t total = 0; rows < ROWS && total < size; rows++) {
            uint64_t blocks = row_size(x, rows);
            if (!blocks || blocks > UINT64_MAX / x->width || total + blocks * x->width < total) return false;
            total += blocks * x->width;
        }
    }
    return false;
}

/* The object that an id names; bad when it isn't there. */
static hdf5_cursor find_object(const hdf5 *h, const heap *x, hdf5_cursor id)
{
    enum { MANAGED, HUGE_ONE, TINY };
    uint64_t first = hdf5_take(&id, 1), kind = first >> 4 & 3, at = 0;
    hdf5_cursor none = {h, 0, 0, true};
    if (id.bad || kind == HUGE_ONE) return none;
    if (kind == TINY) return hdf5_at(h, id.at, (first & 15) + 1);
    uint64_t place = hdf5_take(&id, x->place_bytes), length = hdf5_take(&id, x->length_bytes);
    if (id.bad) return none;
    if (x->rows) {
        if (!find_place(h, x, x->root, x->rows, place, &at)) return none;
    } else {
        at = x->root + place;
        if (x->root > h->file.len || place > h->file.len - x->root) return none;
    }
    return length > h->file.len - at ? none : hdf5_at(h, at, length);
}

/* A tree of names: the sizes of what its nodes hold, level by level from the leaves. */
typedef struct tree {
    uint32_t kind, node, record, depth;
    unsigned count_bytes;            /* of the number of records in a child */
    unsigned below_bytes[DEPTH + 1]; /* of the number of records below a child of this level; 0 for leaves */
} tree;

enum { LINK_NAMES = 5, ATTRIBUTE_NAMES = 8 };

static pg_code measure(hdf5 *h, tree *t, uint64_t at, pg_error *e)
{
    if (t->depth > DEPTH || t->node <= NODE_OVERHEAD || !t->record || (t->node - NODE_OVERHEAD) / t->record == 0)
        return hdf5_damaged(h, at, "tree of names", e);
    uint64_t most = (t->node - NODE_OVERHEAD) / t->record, below = most;
    t->count_bytes = bytes_for(most);
    for (uint32_t level = 1; level <= t->depth; level++) {
        uint64_t pointer = h->o + t->count_bytes + t->below_bytes[level - 1];
        if (t->node < NODE_OVERHEAD + pointer) return hdf5_damaged(h, at, "tree of names", e);
        most = (t->node - NODE_OVERHEAD - pointer) / (t->record + pointer);
        if (most > UINT32_MAX || below > UINT64_MAX / (most + 2)) return hdf5_damaged(h, at, "tree of names", e);
        below = (most + 1) * below + most;
        t->below_bytes[level] = bytes_for(below);
    }
    return PG_E_OK;
}

static pg_code read_record(hdf5 *h, hdf5_object *out, const heap *x, const tree *t, hdf5_cursor record, pg_error *e)
{
    uint64_t from = record.at;
    if (t->kind == LINK_NAMES) hdf5_skip(&record, 4); /* the name's hash comes first */
    hdf5_cursor object = find_object(h, x, record);
    if (object.bad) return hdf5_damaged(h, from, "link or attribute", e);
    return t->kind == LINK_NAMES ? hdf5_add_link(h, out, object, e) : hdf5_add_attr(h, out, object, e);
}

static pg_code read_node(hdf5 *h, hdf5_object *out, const heap *x, const tree *t, uint64_t at, uint64_t n,
                         uint32_t level, pg_error *e)
{
    hdf5_cursor c = hdf5_at(h, at, t->node);
    bool is = hdf5_magic(&c, level ? "BTIN" : "BTLF");
    hdf5_skip(&c, 2);
    if (c.bad || !is) return hdf5_damaged(h, at, "tree of names", e);
    for (uint64_t i = 0; i < n; i++) {
        hdf5_cursor record = hdf5_at(h, c.at, t->record);
        hdf5_skip(&c, t->record);
        pg_code code = c.bad ? hdf5_damaged(h, at, "tree of names", e) : hdf5_step(h, e);
        if (!code) code = read_record(h, out, x, t, record, e);
        if (code) return code;
    }
    for (uint64_t i = 0; level && i <= n; i++) {
        uint64_t child = hdf5_offset(&c), records = hdf5_take(&c, t->count_bytes);
        hdf5_skip(&c, t->below_bytes[level - 1]);
        pg_code code = c.bad ? hdf5_damaged(h, at, "tree of names", e) : hdf5_step(h, e);
        if (!code) code = read_node(h, out, x, t, child, records, level - 1, e);
        if (code) return code;
    }
    return PG_E_OK;
}

pg_code hdf5_read_dense(hdf5 *h, hdf5_object *out, uint64_t heap_at, uint64_t tree_at, pg_error *e)
{
    heap x = {0};
    tree t = {0};
    pg_code code = read_heap(h, heap_at, &x, e);
    if (code) return code;
    if (x.filters) return error_set(e, PG_E_UNSUPPORTED, "the HDF5 file packs its lists of links; save it without");
    hdf5_cursor c = hdf5_at(h, tree_at, UINT64_MAX);
    bool is = hdf5_magic(&c, "BTHD");
    hdf5_skip(&c, 1);
    t.kind = (uint32_t)hdf5_take(&c, 1);
    t.node = (uint32_t)hdf5_take(&c, 4);
    t.record = (uint32_t)hdf5_take(&c, 2);
    t.depth = (uint32_t)hdf5_take(&c, 2);
    hdf5_skip(&c, 2);
    uint64_t root = hdf5_offset(&c), n = hdf5_take(&c, 2);
    if (c.bad || !is || (t.kind != LINK_NAMES && t.kind != ATTRIBUTE_NAMES))
        return hdf5_damaged(h, tree_at, "tree of names", e);
    code = measure(h, &t, tree_at, e);
    if (code || hdf5_none(h, root)) return code;
    return read_node(h, out, &x, &t, root, n, t.depth, e);
}
