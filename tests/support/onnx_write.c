#define _POSIX_C_SOURCE 200809L
#include "support/heap.h"
#include "support/onnx_write.h"
#include "load/builtin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- protobuf ---- */

/* A run of zeros that is not kept in memory, in front of the byte `at`. */
typedef struct hole {
    size_t at;
    uint64_t len;
} hole;

typedef struct bytes {
    unsigned char *ptr;
    size_t len, cap;
    hole *holes;
    size_t n_holes, cap_holes;
    uint64_t hidden; /* in all holes */
    bool failed;     /* sticky */
} bytes;

static void bytes_free(bytes *b)
{
    free(b->ptr);
    free(b->holes);
    *b = (bytes){0};
}

static void put(bytes *b, const void *p, size_t n)
{
    if (b->len + n > b->cap) {
        size_t cap = (b->len + n) * 2;
        unsigned char *bigger = realloc(b->ptr, cap);
        if (!bigger) b->failed = true;
        if (!bigger) return;
        b->ptr = bigger;
        b->cap = cap;
    }
    if (n) memcpy(b->ptr + b->len, p, n);
    b->len += n;
}

static void put_varint(bytes *b, uint64_t v)
{
    do {
        unsigned char c = (unsigned char)((v & 127) | (v > 127 ? 128 : 0));
        put(b, &c, 1);
        v >>= 7;
    } while (v);
}

static void put_int(bytes *b, unsigned field, int64_t v)
{
    put_varint(b, field << 3);
    put_varint(b, (uint64_t)v);
}

static void put_float(bytes *b, unsigned field, double v)
{
    float x = (float)v;
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    unsigned char little[4] = {(unsigned char)u, (unsigned char)(u >> 8), (unsigned char)(u >> 16),
                               (unsigned char)(u >> 24)};
    put_varint(b, field << 3 | 5);
    put(b, little, sizeof little);
}

static void put_text(bytes *b, unsigned field, str s)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, s.len);
    put(b, s.ptr, s.len);
}

static void put_hole(bytes *b, size_t at, uint64_t len)
{
    if (b->n_holes == b->cap_holes) {
        size_t cap = b->cap_holes ? b->cap_holes * 2 : 16;
        hole *bigger = realloc(b->holes, cap * sizeof *bigger);
        if (!bigger) b->failed = true;
        if (!bigger) return;
        b->holes = bigger;
        b->cap_holes = cap;
    }
    b->holes[b->n_holes++] = (hole){at, len};
    b->hidden += len;
}

static void put_zeros(bytes *b, unsigned field, uint64_t len)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, len);
    put_hole(b, b->len, len);
}

/* Appends a message and frees it. */
static void put_message(bytes *b, unsigned field, bytes *m)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, m->len + m->hidden);
    for (size_t i = 0; i < m->n_holes; i++) put_hole(b, b->len + m->holes[i].at, m->holes[i].len);
    put(b, m->ptr, m->len);
    b->failed |= m->failed;
    bytes_free(m);
}

/* ---- ONNX ---- */

/* ONNX's number of a type; 0: it has none. */
static int64_t type_code(dtype d)
{
    static const uint8_t codes[DT_COUNT] = {
        [DT_FP32] = 1,     [DT_UINT8] = 2,      [DT_INT8] = 3,        [DT_UINT16] = 4, [DT_INT16] = 5,
        [DT_INT32] = 6,    [DT_INT64] = 7,      [DT_STRING] = 8,      [DT_BOOL] = 9,   [DT_FP16] = 10,
        [DT_FP64] = 11,    [DT_UINT32] = 12,    [DT_UINT64] = 13,     [DT_BF16] = 16,  [DT_FP8E4M3] = 17,
        [DT_FP8E5M2] = 19, [DT_UINT4] = 21,     [DT_INT4] = 22,       [DT_FP4] = 23,   [DT_UINT2] = 25,
        [DT_INT2] = 26,    [DT_COMPLEX64] = 14, [DT_COMPLEX128] = 15,
    };
    return codes[d < DT_COUNT ? d : DT_UNKNOWN];
}

static str key_name(uint16_t key)
{
    static const char *const names[ATTR_KEY_COUNT] = {
#define ATTR(name, text) [ATTR_##name] = text,
#include "graph/attrs.def"
#undef ATTR
    };
    return str_c(key < ATTR_KEY_COUNT ? names[key] : "");
}

/* Operators that ONNX itself doesn't have. */
static str domain_of(const op *o)
{
    switch (o->kind) {
    case OP_AdaptiveAveragePool:
    case OP_BiasGelu:
    case OP_FastGelu:
    case OP_FusedMatMul:
    case OP_QuickGelu:
    case OP_RotaryEmbedding:
    case OP_Silu:
    case OP_SimplifiedLayerNormalization: return STR("com.microsoft");
    default: return STR("");
    }
}

static void put_region(bytes *out, const graph *g, uint32_t index);

static void put_attr(bytes *node, const graph *g, const attr *a)
{
    enum { FLOAT = 1, INT = 2, STRING = 3, GRAPH = 5, FLOATS = 6, INTS = 7 };
    bytes m = {0};
    put_text(&m, 1, key_name(a->key));
    switch ((attr_type)a->type) {
    case ATTR_INT:
        put_int(&m, 3, a->v.i);
        put_int(&m, 20, INT);
        break;
    case ATTR_FLOAT:
        put_float(&m, 2, a->v.f);
        put_int(&m, 20, FLOAT);
        break;
    case ATTR_INTS:
        for (uint32_t i = 0; i < a->count; i++) put_int(&m, 8, a->v.ints[i]);
        put_int(&m, 20, INTS);
        break;
    case ATTR_FLOATS:
        for (uint32_t i = 0; i < a->count; i++) put_float(&m, 7, a->v.floats[i]);
        put_int(&m, 20, FLOATS);
        break;
    case ATTR_STRING:
        put_text(&m, 4, a->v.s);
        put_int(&m, 20, STRING);
        break;
    case ATTR_REGION: {
        bytes body = {0};
        put_region(&body, g, a->v.index);
        put_message(&m, 6, &body);
        put_int(&m, 20, GRAPH);
        break;
    }
    case ATTR_TENSOR: m.failed = true; break;
    }
    put_message(node, 5, &m);
}

static void put_operand(bytes *node, unsigned field, const graph *g, uint32_t t)
{
    put_text(node, field, t == NO_TENSOR || g->tensors[t].role == ROLE_ABSENT ? STR("") : g->tensors[t].name);
}

static void put_node(bytes *out, const graph *g, const op *o)
{
    bytes m = {0};
    for (uint32_t i = 0; i < o->n_in; i++) put_operand(&m, 1, g, op_in(g, o)[i]);
    for (uint32_t i = 0; i < o->n_out; i++) put_operand(&m, 2, g, op_out(g, o)[i]);
    put_text(&m, 3, o->name);
    put_text(&m, 4,
             o->kind == OP_ScaledDotProductAttention ? STR("Attention") : o->type); /* ONNX's name since opset 23 */
    for (uint32_t i = 0; i < o->n_attr; i++) put_attr(&m, g, &g->attrs[o->first_attr + i]);
    if (domain_of(o).len) put_text(&m, 7, domain_of(o));
    put_message(out, 1, &m);
}

/* TensorProto. Contents: the integers that the graph knows, else zeros. */
static void put_tensor(bytes *out, const tensor *t, bool contents)
{
    bytes m = {0};
    for (int i = 0; i < t->rank; i++) put_int(&m, 1, t->dims[i].v.i);
    put_int(&m, 2, type_code((dtype)t->dtype));
    put_text(&m, 8, t->name);
    if (t->value && t->dtype == DT_INT64)
        for (uint32_t i = 0; i < t->value_count; i++) put_int(&m, 7, t->value[i].v.i);
    else if (contents && t->weight_bytes > 0) put_zeros(&m, 9, (uint64_t)t->weight_bytes);
    put_message(out, 5, &m);
}

static void put_dims(bytes *type, const graph *g, const tensor *t)
{
    bytes shape = {0};
    for (int i = 0; i < t->rank; i++) {
        bytes dim = {0};
        num n = t->dims[i];
        if (n.sym == SYM_NONE) put_int(&dim, 1, n.v.i);
        else if (n.sym >= 0 && n.k == 1 && n.v.i == 0) put_text(&dim, 2, g->symbols[n.sym].name);
        else dim.failed = true;
        put_message(&shape, 1, &dim);
    }
    put_message(type, 2, &shape);
}

static void put_value_info(bytes *out, unsigned field, const graph *g, const tensor *t)
{
    bytes info = {0}, type = {0}, inner = {0};
    put_text(&info, 1, t->name);
    put_int(&inner, 1, t->dtype ? type_code((dtype)t->dtype) : 1); /* of a result the graph need not know it */
    if (t->rank >= 0) put_dims(&inner, g, t);
    put_message(&type, 1, &inner);
    put_message(&info, 2, &type);
    put_message(out, field, &info);
}

static void put_padding(bytes *out, uint32_t index, uint64_t size)
{
    char name[32];
    num dim = num_int((int64_t)(size / 4));
    size_t n = format_text(name, sizeof name, "padding.%u", index);
    tensor t = {.name = {name, n}, .dtype = DT_FP32, .rank = 1, .dims = &dim, .weight_bytes = (double)(size / 4 * 4)};
    put_tensor(out, &t, true);
}

/* Operators, inputs and outputs; all weights are the model's. */
static void put_region(bytes *out, const graph *g, uint32_t index)
{
    const region *r = &g->regions[index];
    for (uint32_t i = 0; i < r->n_ops; i++) put_node(out, g, &g->ops[r->ops[i]]);
    put_text(out, 2, g->name.len ? g->name : STR("graph"));
    for (uint32_t i = 0; i < r->n_inputs; i++) put_value_info(out, 11, g, &g->tensors[r->inputs[i]]);
    for (uint32_t i = 0; i < r->n_outputs; i++) put_value_info(out, 12, g, &g->tensors[r->outputs[i]]);
}

static void put_graph(bytes *out, const graph *g, const onnx_write_options *o)
{
    uint64_t weights = 0, padded = 0, left = o->size;
    for (uint32_t i = 0; i < g->n_tensors; i++) weights += g->tensors[i].role == ROLE_WEIGHT;
    put_region(out, g, 0);
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const tensor *t = &g->tensors[i];
        if (t->role != ROLE_WEIGHT) continue;
        put_tensor(out, t, !o->no_weights);
        if (!o->pad) continue;
        uint64_t share = left / (weights - padded);
        put_padding(out, i, share);
        left -= share;
        padded++;
    }
}

static void put_opset(bytes *out, str domain, int64_t version)
{
    bytes m = {0};
    put_text(&m, 1, domain);
    put_int(&m, 2, version);
    put_message(out, 8, &m);
}

/* ---- files ---- */

static bool write_bytes(FILE *f, const bytes *b)
{
    size_t done = 0;
    for (size_t i = 0; i <= b->n_holes; i++) {
        size_t upto = i < b->n_holes ? b->holes[i].at : b->len;
        if (fwrite(b->ptr + done, 1, upto - done, f) != upto - done) return false;
        if (i < b->n_holes && fseeko(f, (off_t)b->holes[i].len, SEEK_CUR)) return false;
        done = upto;
    }
    off_t end = ftello(f);
    return end >= 0 && !fflush(f) && !ftruncate(fileno(f), end); /* a hole at the very end */
}

pg_code onnx_write(const graph *g, const char *path, const onnx_write_options *options, pg_error *e)
{
    const onnx_write_options plain = {0};
    const onnx_write_options *o = options ? options : &plain;
    bytes model = {0}, body = {0};
    put_int(&model, 1, 8);
    put_text(&model, 2, STR("phantom-gpu tests"));
    put_opset(&model, STR(""), o->opset ? o->opset : 22);
    put_opset(&model, STR("com.microsoft"), 1);
    put_graph(&body, g, o);
    put_message(&model, 7, &body);
    FILE *f = model.failed ? NULL : fopen(path, "wb");
    bool ok = f && write_bytes(f, &model);
    if (f && fclose(f)) ok = false;
    bool failed = model.failed;
    bytes_free(&model);
    if (failed) return error_set(e, PG_E_UNSUPPORTED, "the graph holds what this writer can't write");
    return ok ? PG_E_OK : error_set(e, PG_E_IO, "%s: %s", path, strerror(errno));
}

pg_code onnx_write_builtin(const char *name, const char *path, const onnx_write_options *options, pg_error *e)
{
    arena a;
    graph g;
    arena_init(&a, (allocator){heap_plain, NULL}, 0);
    const zoo_entry *entry = zoo_find(str_c(name), e);
    pg_code code = entry ? PG_E_OK : PG_E_NOT_FOUND;
    if (!code && !graph_init(&g, &a)) code = error_nomem(e, &a);
    if (!code) code = load_builtin(&g, entry, NULL, e);
    if (!code) code = onnx_write(&g, path, options, e);
    arena_free(&a);
    return code;
}
