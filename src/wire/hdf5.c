#include "wire/hdf5_internal.h"

#include "base/format.h"

enum { HEADER_PARTS = 256, TREE_DEPTH = 32, STEPS = 1 << 22 };

/* ---- bytes ---- */

hdf5_cursor hdf5_at(const hdf5 *h, uint64_t at, uint64_t room)
{
    hdf5_cursor c = {h, at, h->file.len, false};
    if (at > c.end) return (hdf5_cursor){h, 0, 0, true};
    if (room < c.end - at) c.end = at + room;
    return c;
}

uint64_t hdf5_take(hdf5_cursor *c, unsigned bytes)
{
    uint64_t v = 0;
    if (c->bad || c->end - c->at < bytes) {
        c->bad = true;
        return 0;
    }
    for (unsigned i = bytes; i-- > 0;) v = v << 8 | c->h->file.ptr[c->at + i];
    c->at += bytes;
    return v;
}

void hdf5_skip(hdf5_cursor *c, uint64_t bytes)
{
    if (c->bad || c->end - c->at < bytes) c->bad = true;
    else c->at += bytes;
}

/* The next bytes themselves; empty when they are not there. */
static span next_bytes(hdf5_cursor *c, uint64_t n)
{
    uint64_t at = c->at;
    hdf5_skip(c, n);
    if (c->bad) return (span){NULL, 0, 0};
    return (span){c->h->file.ptr + at, (size_t)n, c->h->file.base + at};
}

bool hdf5_magic(hdf5_cursor *c, const char *four)
{
    span s = next_bytes(c, 4);
    return s.len == 4 && !memcmp(s.ptr, four, 4);
}

pg_code hdf5_step(hdf5 *h, pg_error *e)
{
    if (h->budget) {
        h->budget--;
        return PG_E_OK;
    }
    return error_set(e, PG_E_LIMIT,
                     "the HDF5 file holds more than %d groups, links and messages, or they lead in circles", STEPS);
}

pg_code hdf5_damaged(const hdf5 *h, uint64_t at, const char *what, pg_error *e)
{
    return error_at(e, PG_E_FORMAT, h->file.base + at,
                    "the HDF5 file's %s is not where it should be; the file is damaged or cut off, fetch it again",
                    what);
}

/* ---- superblock ---- */

static const char signature[] = "\211HDF\r\n\032\n";

/* Where the signature is; the file's length when it is nowhere. */
static size_t find_signature(span file)
{
    for (size_t at = 0; at <= file.len && file.len - at >= 8; at = at ? at * 2 : 512)
        if (!memcmp(file.ptr + at, signature, 8)) return at;
    return file.len;
}

bool hdf5_is(span file)
{
    return find_signature(file) < file.len;
}

pg_code hdf5_open(hdf5 *h, span file, arena *a, pg_error *e)
{
    size_t at = find_signature(file);
    if (at == file.len)
        return error_set(e, PG_E_FORMAT, "is not an HDF5 file, as its signature is missing: save the model again");
    *h = (hdf5){.file = {file.ptr + at, file.len - at, file.base + at}, .a = a, .budget = STEPS};
    hdf5_cursor c = hdf5_at(h, 8, UINT64_MAX);
    uint64_t version = hdf5_take(&c, 1);
    if (version > 3)
        return error_at(e, PG_E_UNSUPPORTED, h->file.base + 8,
                        "the HDF5 file has a superblock of version %u; 0 to 3 are known", (unsigned)version);
    hdf5_skip(&c, version < 2 ? 4 : 0);
    h->o = (uint8_t)hdf5_take(&c, 1);
    h->l = (uint8_t)hdf5_take(&c, 1);
    bool sane = (h->o == 2 || h->o == 4 || h->o == 8) && (h->l == 2 || h->l == 4 || h->l == 8);
    if (c.bad || !sane) return hdf5_damaged(h, 8, "superblock", e);
    if (version < 2) {
        hdf5_skip(&c, version == 0 ? 9 : 13);
        hdf5_skip(&c, 2u * h->o); /* base, free space */
        h->end = hdf5_offset(&c);
        hdf5_skip(&c, 2u * h->o); /* driver; the name of the root */
    } else {
        hdf5_skip(&c, 1 + 2u * h->o);
        h->end = hdf5_offset(&c);
    }
    h->root = hdf5_offset(&c);
    return c.bad ? hdf5_damaged(h, 8, "superblock", e) : PG_E_OK;
}

/* ---- types ---- */

static void read_space(hdf5_cursor *c, hdf5_type *t)
{
    uint64_t version = hdf5_take(c, 1), rank = hdf5_take(c, 1);
    hdf5_skip(c, 1);
    uint64_t kind = hdf5_take(c, 1);
    if (version == 1) { /* knows no kinds */
        kind = 1;
        hdf5_skip(c, 4);
    }
    t->rank = -1;
    t->count = 0;
    if (kind == 2 || rank > HDF5_RANK || c->bad) return;
    t->count = 1;
    for (uint64_t i = 0; i < rank; i++) {
        t->dims[i] = hdf5_length(c);
        if (__builtin_mul_overflow(t->count, t->dims[i], &t->count)) t->count = UINT64_MAX;
    }
    t->rank = c->bad ? -1 : (int)rank;
}

static void read_type(hdf5_cursor *c, hdf5_type *t)
{
    enum { INTEGER, FLOAT, TEXT = 3, ENUMERATION = 8, VARIABLE = 9 };
    uint64_t class = hdf5_take(c, 1) & 15, flags = hdf5_take(c, 3);
    t->size = (uint32_t)hdf5_take(c, 4);
    t->class = HDF5_OTHER;
    if (class == INTEGER) t->class = flags & 8 ? HDF5_INT : HDF5_UINT;
    if (class == TEXT) t->class = HDF5_TEXT;
    if (class == ENUMERATION && t->size == 1) t->class = HDF5_BOOL; /* h5py's bool; no other is written */
    if (class == VARIABLE && (flags & 15) == 1) t->class = HDF5_VARIABLE_TEXT;
    if (class != FLOAT) return;
    hdf5_skip(c, 5); /* bit offset, precision, place of the exponent */
    t->class = hdf5_take(c, 1) == 8 && t->size == 2 ? HDF5_BFLOAT : HDF5_FLOAT;
}

/* ---- attributes and links ---- */

static void *grow(hdf5 *h, void *list, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap) return list;
    uint32_t more = *cap ? *cap * 2 : 8;
    void *bigger = arena_grow(h->a, list, *cap, more, size);
    if (bigger) *cap = more;
    return bigger;
}

static uint64_t padded(uint64_t n, bool pad)
{
    return pad ? (n + 7) & ~7ull : n;
}

pg_code hdf5_add_attr(hdf5 *h, hdf5_object *out, hdf5_cursor c, pg_error *e)
{
    hdf5_attr t = {.type = {.rank = -1}};
    uint64_t from = c.at, version = hdf5_take(&c, 1), flags = hdf5_take(&c, 1);
    uint64_t name = hdf5_take(&c, 2), type = hdf5_take(&c, 2), space = hdf5_take(&c, 2);
    if (version >= 3) hdf5_skip(&c, 1);
    if (c.bad || version < 1 || version > 3) return hdf5_damaged(h, from, "attribute", e);
    span text = next_bytes(&c, name);
    hdf5_skip(&c, padded(name, version == 1) - name);
    hdf5_cursor at_type = c;
    hdf5_skip(&c, padded(type, version == 1));
    hdf5_cursor at_space = c;
    hdf5_skip(&c, padded(space, version == 1));
    if (c.bad) return hdf5_damaged(h, from, "attribute", e);
    at_type.end = at_type.at + type;
    at_space.end = at_space.at + space;
    bool shared = version >= 2 && (flags & 3); /* a committed type: nothing that is looked for has one */
    if (!shared) {
        read_type(&at_type, &t.type);
        read_space(&at_space, &t.type);
    }
    t.name = (str){(const char *)text.ptr, 0};
    while (t.name.len < text.len && text.ptr[t.name.len]) t.name.len++;
    t.data = next_bytes(&c, c.end - c.at);
    hdf5_attr *list = grow(h, out->attrs, out->n_attrs, &out->cap_attrs, sizeof *list);
    if (!list) return error_nomem(e, h->a);
    out->attrs = list;
    out->attrs[out->n_attrs++] = t;
    return PG_E_OK;
}

static pg_code add_link(hdf5 *h, hdf5_object *out, str name, uint64_t object, pg_error *e)
{
    hdf5_link *list = grow(h, out->links, out->n_links, &out->cap_links, sizeof *list);
    if (!list) return error_nomem(e, h->a);
    out->links = list;
    out->links[out->n_links++] = (hdf5_link){name, object};
    return PG_E_OK;
}

pg_code hdf5_add_link(hdf5 *h, hdf5_object *out, hdf5_cursor c, pg_error *e)
{
    enum { HARD, ORDER = 4, KIND = 8, CHARSET = 16 };
    uint64_t from = c.at, version = hdf5_take(&c, 1), flags = hdf5_take(&c, 1);
    uint64_t kind = flags & KIND ? hdf5_take(&c, 1) : HARD;
    hdf5_skip(&c, (flags & ORDER ? 8 : 0) + (flags & CHARSET ? 1 : 0));
    span name = next_bytes(&c, hdf5_take(&c, 1u << (flags & 3)));
    uint64_t object = kind == HARD ? hdf5_offset(&c) : 0;
    if (c.bad || version != 1) return hdf5_damaged(h, from, "link", e);
    return kind == HARD ? add_link(h, out, span_str(name), object, e) : PG_E_OK;
}

/* ---- old groups ---- */

typedef struct names {
    uint64_t at, size; /* of the local heap's data */
} names;

static str name_at(const hdf5 *h, const names *heap, uint64_t offset)
{
    if (offset >= heap->size) return (str){NULL, 0};
    const char *from = (const char *)h->file.ptr + heap->at + offset;
    const char *end = memchr(from, 0, (size_t)(heap->size - offset));
    return end ? (str){from, (size_t)(end - from)} : (str){NULL, 0};
}

static pg_code read_symbols(hdf5 *h, hdf5_object *out, uint64_t at, const names *heap, pg_error *e)
{
    hdf5_cursor c = hdf5_at(h, at, UINT64_MAX);
    bool is = hdf5_magic(&c, "SNOD");
    hdf5_skip(&c, 2);
    uint64_t n = hdf5_take(&c, 2);
    if (c.bad || !is) return hdf5_damaged(h, at, "symbol table", e);
    for (uint64_t i = 0; i < n; i++) {
        pg_code code = hdf5_step(h, e);
        uint64_t name = hdf5_offset(&c), object = hdf5_offset(&c), kind = hdf5_take(&c, 4);
        hdf5_skip(&c, 20);
        str text = name_at(h, heap, name);
        if (!code && (c.bad || !text.ptr)) code = hdf5_damaged(h, at, "symbol table", e);
        enum { SOFT = 2 };
        if (!code && kind != SOFT) code = add_link(h, out, text, object, e);
        if (code) return code;
    }
    return PG_E_OK;
}

static pg_code read_tree(hdf5 *h, hdf5_object *out, uint64_t at, const names *heap, unsigned depth, pg_error *e)
{
    hdf5_cursor c = hdf5_at(h, at, UINT64_MAX);
    bool is = hdf5_magic(&c, "TREE");
    uint64_t kind = hdf5_take(&c, 1), level = hdf5_take(&c, 1), n = hdf5_take(&c, 2);
    hdf5_skip(&c, 2u * h->o);
    if (c.bad || !is || kind != 0 || depth > TREE_DEPTH) return hdf5_damaged(h, at, "tree of links", e);
    for (uint64_t i = 0; i < n; i++) {
        hdf5_skip(&c, h->l);
        uint64_t child = hdf5_offset(&c);
        pg_code code = c.bad ? hdf5_damaged(h, at, "tree of links", e) : hdf5_step(h, e);
        if (!code) code = level ? read_tree(h, out, child, heap, depth + 1, e) : read_symbols(h, out, child, heap, e);
        if (code) return code;
    }
    return PG_E_OK;
}

static pg_code read_old_group(hdf5 *h, hdf5_object *out, hdf5_cursor message, pg_error *e)
{
    uint64_t tree = hdf5_offset(&message), at = hdf5_offset(&message);
    hdf5_cursor c = hdf5_at(h, at, UINT64_MAX);
    bool is = hdf5_magic(&c, "HEAP");
    hdf5_skip(&c, 4);
    names heap = {.size = hdf5_length(&c)};
    hdf5_skip(&c, h->l);
    heap.at = hdf5_offset(&c);
    if (message.bad || c.bad || !is || heap.at > h->file.len || heap.size > h->file.len - heap.at)
        return hdf5_damaged(h, at, "heap of names", e);
    return read_tree(h, out, tree, &heap, 0, e);
}

/* ---- object headers ---- */

typedef struct header {
    hdf5_object *out;
    bool v2, ordered;               /* messages of version 2, with their creation order */
    hdf5_cursor more[HEADER_PARTS]; /* what continuations lead to */
    uint32_t n_more;
    bool space, type, layout;
} header;

static pg_code add_part(hdf5 *h, header *x, hdf5_cursor message, pg_error *e)
{
    uint64_t at = hdf5_offset(&message), length = hdf5_length(&message);
    hdf5_cursor c = hdf5_at(h, at, length);
    bool fits = !message.bad && !c.bad && c.end - at == length && (!x->v2 || hdf5_magic(&c, "OCHK"));
    if (!fits || (x->v2 && c.end - c.at < 4)) return hdf5_damaged(h, at, "object header", e);
    if (x->v2) c.end -= 4; /* the checksum */
    if (x->n_more == HEADER_PARTS)
        return error_at(e, PG_E_LIMIT, h->file.base + at, "an object of the HDF5 file is in more than %d parts",
                        HEADER_PARTS);
    x->more[x->n_more++] = c;
    return PG_E_OK;
}

/* Where dense links or attributes lie: heap and tree of names; nothing when there is none. */
static pg_code read_info(hdf5 *h, hdf5_object *out, hdf5_cursor c, unsigned order_bytes, pg_error *e)
{
    uint64_t from = c.at;
    hdf5_skip(&c, 1);
    uint64_t flags = hdf5_take(&c, 1);
    if (flags & 1) hdf5_skip(&c, order_bytes);
    uint64_t heap = hdf5_offset(&c), tree = hdf5_offset(&c);
    if (c.bad) return hdf5_damaged(h, from, "list of links or attributes", e);
    return hdf5_none(h, heap) || hdf5_none(h, tree) ? PG_E_OK : hdf5_read_dense(h, out, heap, tree, e);
}

static pg_code read_message(hdf5 *h, header *x, uint64_t type, uint64_t flags, hdf5_cursor c, pg_error *e)
{
    enum {
        SPACE = 1,
        LINKS = 2,
        TYPE = 3,
        LINK = 6,
        LAYOUT = 8,
        ATTRIBUTE = 12,
        MORE = 16,
        SYMBOLS = 17,
        ATTRIBUTES = 21
    };
    enum { SHARED = 2 };
    if (flags & SHARED) { /* stands elsewhere in the file: a committed type */
        x->type |= type == TYPE;
        x->space |= type == SPACE;
        return PG_E_OK;
    }
    switch (type) {
    case SPACE:
        read_space(&c, &x->out->type);
        x->space = true;
        break;
    case TYPE:
        read_type(&c, &x->out->type);
        x->type = true;
        break;
    case LAYOUT: x->layout = true; break;
    case LINKS: return read_info(h, x->out, c, 8, e);
    case ATTRIBUTES: return read_info(h, x->out, c, 2, e);
    case LINK: return hdf5_add_link(h, x->out, c, e);
    case ATTRIBUTE: return hdf5_add_attr(h, x->out, c, e);
    case MORE: return add_part(h, x, c, e);
    case SYMBOLS: return read_old_group(h, x->out, c, e);
    default: break;
    }
    return PG_E_OK;
}

static pg_code read_block(hdf5 *h, header *x, hdf5_cursor c, pg_error *e)
{
    unsigned head = x->v2 ? 4u + 2 * x->ordered : 8u;
    while (c.end - c.at >= head) {
        uint64_t from = c.at, type = hdf5_take(&c, x->v2 ? 1 : 2), size = hdf5_take(&c, 2), flags = hdf5_take(&c, 1);
        hdf5_skip(&c, x->v2 ? 2 * x->ordered : 3);
        hdf5_cursor message = hdf5_at(h, c.at, size);
        hdf5_skip(&c, size);
        pg_code code = c.bad ? hdf5_damaged(h, from, "object header", e) : hdf5_step(h, e);
        if (!code) code = read_message(h, x, type, flags, message, e);
        if (code) return code;
    }
    return PG_E_OK;
}

pg_code hdf5_read(hdf5 *h, uint64_t object, hdf5_object *out, pg_error *e)
{
    memset(out, 0, sizeof *out);
    out->type.rank = -1;
    header x;
    memset(&x, 0, sizeof x);
    x.out = out;
    hdf5_cursor c = hdf5_at(h, object, UINT64_MAX);
    pg_code code = hdf5_step(h, e);
    x.v2 = !code && hdf5_magic(&c, "OHDR");
    uint64_t size;
    if (x.v2) {
        enum { ORDERED = 4, LIMITS = 16, TIMES = 32 };
        hdf5_skip(&c, 1);
        uint64_t flags = hdf5_take(&c, 1);
        x.ordered = flags & ORDERED;
        hdf5_skip(&c, (flags & TIMES ? 16 : 0) + (flags & LIMITS ? 4 : 0));
        size = hdf5_take(&c, 1u << (flags & 3));
    } else {
        c = hdf5_at(h, object, UINT64_MAX);
        if (hdf5_take(&c, 1) != 1) c.bad = true;
        hdf5_skip(&c, 7);
        size = hdf5_take(&c, 4);
        hdf5_skip(&c, 4);
    }
    if (code) return code;
    if (c.bad || c.end - c.at < size) return hdf5_damaged(h, object, "object header", e);
    c.end = c.at + size;
    code = read_block(h, &x, c, e);
    for (uint32_t i = 0; !code && i < x.n_more; i++) code = read_block(h, &x, x.more[i], e);
    out->dataset = x.space && x.type && x.layout;
    return code;
}

/* ---- looking things up ---- */

const hdf5_attr *hdf5_find_attr(const hdf5_object *o, const char *name)
{
    for (uint32_t i = 0; i < o->n_attrs; i++)
        if (str_is(o->attrs[i].name, name)) return &o->attrs[i];
    return NULL;
}

const hdf5_link *hdf5_find_link(const hdf5_object *o, const char *name)
{
    for (uint32_t i = 0; i < o->n_links; i++)
        if (str_is(o->links[i].name, name)) return &o->links[i];
    return NULL;
}

/* Object `index` of a collection of texts. */
static str collected(hdf5 *h, uint64_t at, uint64_t index, uint64_t length)
{
    hdf5_cursor c = hdf5_at(h, at, UINT64_MAX);
    bool is = hdf5_magic(&c, "GCOL");
    hdf5_skip(&c, 4);
    uint64_t size = hdf5_length(&c), head = 8u + h->l;
    if (c.bad || !is || size > h->file.len - at) return (str){NULL, 0};
    c.end = at + size;
    while (!c.bad && c.at < c.end && c.end - c.at >= head && h->budget) {
        h->budget--;
        uint64_t id = hdf5_take(&c, 2);
        hdf5_skip(&c, 6);
        uint64_t n = hdf5_length(&c);
        if (!id) break; /* what is free, to the end */
        if (id == index) return n < length ? (str){NULL, 0} : span_str(next_bytes(&c, length));
        if (n > UINT64_MAX - 7) break;
        hdf5_skip(&c, padded(n, true));
    }
    return (str){NULL, 0};
}

str hdf5_text(hdf5 *h, const hdf5_attr *t, uint64_t i)
{
    str s = {NULL, 0};
    uint64_t size = t->type.size;
    if (i >= t->type.count || !size || i >= t->data.len / size) return s;
    if (t->type.class == HDF5_TEXT) {
        s = (str){(const char *)t->data.ptr + i * size, (size_t)size};
    } else if (t->type.class == HDF5_VARIABLE_TEXT) {
        hdf5_cursor c = hdf5_at(h, t->data.base - h->file.base + i * size, size);
        uint64_t length = hdf5_take(&c, 4), at = hdf5_offset(&c), index = hdf5_take(&c, 4);
        if (c.bad) return s;
        s = collected(h, at, index, length);
    }
    const char *end = s.ptr ? memchr(s.ptr, 0, s.len) : NULL;
    if (end) s.len = (size_t)(end - s.ptr);
    return s;
}
