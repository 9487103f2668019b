#include "graph/graph.h"

static const dtype_info dtypes[DT_COUNT] = {
    [DT_UNKNOWN] = {"unknown", 32, false},    [DT_FP32] = {"float32", 32, true},
    [DT_FP16] = {"float16", 16, true},        [DT_BF16] = {"bfloat16", 16, true},
    [DT_FP64] = {"float64", 64, true},        [DT_FP8E4M3] = {"float8e4m3", 8, true},
    [DT_FP8E5M2] = {"float8e5m2", 8, true},   [DT_FP4] = {"float4e2m1", 4, true},
    [DT_INT8] = {"int8", 8, false},           [DT_UINT8] = {"uint8", 8, false},
    [DT_INT16] = {"int16", 16, false},        [DT_UINT16] = {"uint16", 16, false},
    [DT_INT32] = {"int32", 32, false},        [DT_UINT32] = {"uint32", 32, false},
    [DT_INT64] = {"int64", 64, false},        [DT_UINT64] = {"uint64", 64, false},
    [DT_INT4] = {"int4", 4, false},           [DT_UINT4] = {"uint4", 4, false},
    [DT_INT2] = {"int2", 2, false},           [DT_UINT2] = {"uint2", 2, false},
    [DT_BOOL] = {"bool", 8, false},           [DT_STRING] = {"string", 0, false},
    [DT_COMPLEX64] = {"complex64", 64, true}, [DT_COMPLEX128] = {"complex128", 128, true},
};

const dtype_info *dtype_get(dtype d)
{
    return &dtypes[(unsigned)d < DT_COUNT ? d : DT_UNKNOWN];
}

double dtype_bytes(dtype d)
{
    return dtype_get(d)->bits / 8.0;
}

/* Makes room for one more element of an arena array that doubles. */
static bool grow(arena *a, void **array, uint32_t *cap, uint32_t need, size_t size)
{
    if (need <= *cap) return true;
    if (need > UINT32_MAX / 2) return false;
    uint32_t cap_new = *cap ? *cap * 2 : 16;
    while (cap_new < need) cap_new *= 2;
    void *p = arena_grow(a, *array, *cap, cap_new, size);
    if (!p) return false;
    *array = p;
    *cap = cap_new;
    return true;
}

#define GROW(g, array, cap, need) grow((g)->a, (void **)&(g)->array, &(g)->cap, (need), sizeof *(g)->array)

bool graph_init(graph *g, arena *a)
{
    memset(g, 0, sizeof *g);
    g->a = a;
    g->batch_symbol = -1;
    return graph_add_region(g) != NO_TENSOR;
}

static bool reserve(arena *a, void **array, uint32_t *cap, uint32_t need, size_t size)
{
    if (need <= *cap) return true;
    void *p = arena_grow(a, *array, *cap, need, size);
    if (!p) return false;
    *array = p;
    *cap = need;
    return true;
}

#define RESERVE(g, array, cap, need) reserve((g)->a, (void **)&(g)->array, &(g)->cap, (need), sizeof *(g)->array)

bool graph_reserve(graph *g, uint32_t ops, uint32_t tensors)
{
    if (ops > UINT32_MAX / 4) return false;
    return RESERVE(g, ops, cap_ops, ops) && RESERVE(g, tensors, cap_tensors, tensors) &&
           RESERVE(g, operands, cap_operands, 2 * ops) && RESERVE(g, regions[0].ops, regions[0].cap_ops, ops);
}

uint32_t graph_add_region(graph *g)
{
    if (!GROW(g, regions, cap_regions, g->n_regions + 1)) return NO_TENSOR;
    memset(&g->regions[g->n_regions], 0, sizeof *g->regions);
    return g->n_regions++;
}

int32_t graph_symbol_find(const graph *g, str name)
{
    for (uint32_t i = 0; i < g->n_symbols; i++)
        if (str_eq(g->symbols[i].name, name)) return (int32_t)i;
    return -1;
}

int32_t graph_add_symbol(graph *g, str name, int64_t fallback)
{
    int32_t i = graph_symbol_find(g, name);
    if (i >= 0) return i;
    if (g->n_symbols >= INT16_MAX || !GROW(g, symbols, cap_symbols, g->n_symbols + 1)) return -1;
    g->symbols[g->n_symbols] = (graph_symbol){name, fallback};
    return (int32_t)g->n_symbols++;
}

uint32_t graph_add_tensor(graph *g, str name, dtype d)
{
    if (!GROW(g, tensors, cap_tensors, g->n_tensors + 1)) return NO_TENSOR;
    tensor *t = &g->tensors[g->n_tensors];
    memset(t, 0, sizeof *t);
    t->name = name;
    t->dtype = (uint8_t)d;
    t->rank = -1;
    return g->n_tensors++;
}

bool graph_set_dims(graph *g, uint32_t t, int rank, const num *dims)
{
    if (rank < 0 || rank > MAX_RANK) return false;
    num *copy = ARENA_ARRAY(g->a, num, (size_t)rank);
    if (!copy) return false;
    if (rank) memcpy(copy, dims, (size_t)rank * sizeof *dims);
    g->tensors[t].dims = copy;
    g->tensors[t].rank = (int8_t)rank;
    return true;
}

bool graph_set_dims_int(graph *g, uint32_t t, int rank, const int64_t *dims)
{
    num n[MAX_RANK];
    if (rank < 0 || rank > MAX_RANK) return false;
    for (int i = 0; i < rank; i++) n[i] = num_int(dims[i]);
    return graph_set_dims(g, t, rank, n);
}

uint32_t graph_add_weight(graph *g, str name, dtype d, int rank, const int64_t *dims)
{
    uint32_t t = graph_add_tensor(g, name, d);
    if (t == NO_TENSOR || !graph_set_dims_int(g, t, rank, dims)) return NO_TENSOR;
    double n = 1;
    for (int i = 0; i < rank; i++) n *= (double)dims[i];
    g->tensors[t].role = ROLE_WEIGHT;
    g->tensors[t].weight_bytes = ceil(n * dtype_bytes(d));
    return t;
}

uint32_t graph_add_ints(graph *g, str name, int rank, const int64_t *values, uint32_t n)
{
    int64_t dim = n;
    uint32_t t = graph_add_weight(g, name, DT_INT64, rank ? 1 : 0, &dim);
    if (t == NO_TENSOR) return t;
    num *v = ARENA_ARRAY(g->a, num, n);
    if (!v) return NO_TENSOR;
    for (uint32_t i = 0; i < n; i++) v[i] = num_int(values[i]);
    g->tensors[t].value = v;
    g->tensors[t].value_count = n;
    return t;
}

static bool region_append(graph *g, uint32_t r, uint32_t o)
{
    region *reg = &g->regions[r];
    if (!grow(g->a, (void **)&reg->ops, &reg->cap_ops, reg->n_ops + 1, sizeof *reg->ops)) return false;
    reg->ops[reg->n_ops++] = o;
    return true;
}

uint32_t graph_add_op(graph *g, uint32_t r, op_kind kind, str name, const uint32_t *in, uint32_t n_in,
                      const uint32_t *out, uint32_t n_out)
{
    if (n_in > UINT16_MAX || n_out > UINT16_MAX) return NO_TENSOR;
    /* One operand more than there are: op_in() of an operator that has none must point somewhere too. */
    if (!GROW(g, ops, cap_ops, g->n_ops + 1) || !GROW(g, operands, cap_operands, g->n_operands + n_in + n_out + 1))
        return NO_TENSOR;
    op *o = &g->ops[g->n_ops];
    memset(o, 0, sizeof *o);
    o->kind = (uint16_t)kind;
    o->name = name;
    o->type = str_c(op_kind_name(kind));
    o->n_in = (uint16_t)n_in;
    o->n_out = (uint16_t)n_out;
    o->first_in = g->n_operands;
    o->first_attr = g->n_attrs;
    o->opset = 22;
    if (n_in) memcpy(g->operands + g->n_operands, in, n_in * sizeof *in);
    if (n_out) memcpy(g->operands + g->n_operands + n_in, out, n_out * sizeof *out);
    g->n_operands += n_in + n_out;
    if (!region_append(g, r, g->n_ops)) return NO_TENSOR;
    return g->n_ops++;
}

static attr *attr_new(graph *g, attr_key key, attr_type type)
{
    if (!g->n_ops || !GROW(g, attrs, cap_attrs, g->n_attrs + 1)) return NULL;
    attr *a = &g->attrs[g->n_attrs++];
    memset(a, 0, sizeof *a);
    a->key = (uint16_t)key;
    a->type = (uint16_t)type;
    g->ops[g->n_ops - 1].n_attr++;
    return a;
}

bool graph_attr_int(graph *g, attr_key key, int64_t v)
{
    attr *a = attr_new(g, key, ATTR_INT);
    if (a) a->v.i = v;
    return a != NULL;
}

bool graph_attr_float(graph *g, attr_key key, double v)
{
    attr *a = attr_new(g, key, ATTR_FLOAT);
    if (a) a->v.f = v;
    return a != NULL;
}

bool graph_attr_ints(graph *g, attr_key key, const int64_t *v, uint32_t n)
{
    int64_t *copy = ARENA_ARRAY(g->a, int64_t, n);
    attr *a = copy ? attr_new(g, key, ATTR_INTS) : NULL;
    if (!a) return false;
    if (n) memcpy(copy, v, n * sizeof *v);
    a->count = n;
    a->v.ints = copy;
    return true;
}

bool graph_attr_floats(graph *g, attr_key key, const double *v, uint32_t n)
{
    double *copy = ARENA_ARRAY(g->a, double, n);
    attr *a = copy ? attr_new(g, key, ATTR_FLOATS) : NULL;
    if (!a) return false;
    if (n) memcpy(copy, v, n * sizeof *v);
    a->count = n;
    a->v.floats = copy;
    return true;
}

bool graph_attr_string(graph *g, attr_key key, str v)
{
    attr *a = attr_new(g, key, ATTR_STRING);
    if (a) a->v.s = v;
    return a != NULL;
}

bool graph_attr_index(graph *g, attr_key key, attr_type type, uint32_t index)
{
    attr *a = attr_new(g, key, type);
    if (a) a->v.index = index;
    return a != NULL;
}

static bool list_append(arena *a, uint32_t **list, uint32_t *n, uint32_t t)
{
    uint32_t *p = *list;
    if ((*n & (*n - 1)) == 0) { /* grows at powers of two */
        p = arena_grow(a, *list, *n, *n ? *n * 2 : 1, sizeof **list);
        if (!p) return false;
        *list = p;
    }
    p[(*n)++] = t;
    return true;
}

bool graph_add_output(graph *g, uint32_t r, uint32_t t)
{
    if (r == 0) g->tensors[t].is_output = true;
    return list_append(g->a, &g->regions[r].outputs, &g->regions[r].n_outputs, t);
}

bool graph_add_input(graph *g, uint32_t r, uint32_t t)
{
    if (r == 0) g->tensors[t].role = ROLE_INPUT;
    return list_append(g->a, &g->regions[r].inputs, &g->regions[r].n_inputs, t);
}

bool graph_warn(graph *g, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    size_t n = format_textv(text, sizeof text, fmt, args);
    va_end(args);
    if (n >= sizeof text) n = sizeof text - 1;
    for (size_t i = 0; i < n; i++) /* names come from the file: no control characters reach a terminal */
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) text[i] = '?';
    if (!GROW(g, warnings, cap_warnings, g->n_warnings + 1)) return false;
    str copy = str_copy(g->a, (str){text, n});
    if (!copy.ptr) return false;
    g->warnings[g->n_warnings++] = copy;
    return true;
}

bool graph_remark_add(graph *g, const char *key, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    size_t n = format_textv(text, sizeof text, fmt, args);
    va_end(args);
    if (n >= sizeof text) n = sizeof text - 1;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) text[i] = ' ';
    if (!GROW(g, remarks, cap_remarks, g->n_remarks + 1)) return false;
    str copy = str_copy(g->a, (str){text, n});
    if (!copy.ptr) return false;
    g->remarks[g->n_remarks++] = (graph_remark){key, copy};
    return true;
}

static const char *const op_names[OP_KIND_COUNT] = {
#define OP(name, min_in, max_in, max_out, shape, work, flops) [OP_##name] = #name,
#include "graph/ops.def"
#undef OP
};

const char *op_kind_name(op_kind k)
{
    return (unsigned)k < OP_KIND_COUNT ? op_names[k] : "?";
}

/* Called once per node of a file. A linear scan over first letter and length is a few hundred nanoseconds: no global table. */
int op_kind_find(str name)
{
    if (!name.len) return -1;
    for (int k = 0; k < OP_KIND_COUNT; k++) {
        const char *n = op_names[k];
        if (n[0] == name.ptr[0] && strlen(n) == name.len && memcmp(n, name.ptr, name.len) == 0) return k;
    }
    return -1;
}

static const char *const attr_names[ATTR_KEY_COUNT] = {
#define ATTR(name, text) [ATTR_##name] = text,
#include "graph/attrs.def"
#undef ATTR
};

int attr_key_find(str name)
{
    for (int k = 0; k < ATTR_KEY_COUNT; k++)
        if (str_is(name, attr_names[k])) return k;
    return -1;
}

uint32_t op_input(const graph *g, const op *o, uint32_t i)
{
    if (i >= o->n_in) return NO_TENSOR;
    uint32_t t = op_in(g, o)[i];
    return t == NO_TENSOR || g->tensors[t].role == ROLE_ABSENT ? NO_TENSOR : t;
}

const attr *op_attr(const graph *g, const op *o, attr_key key)
{
    for (uint32_t i = 0; i < o->n_attr; i++)
        if (g->attrs[o->first_attr + i].key == key) return &g->attrs[o->first_attr + i];
    return NULL;
}

int64_t op_attr_int(const graph *g, const op *o, attr_key key, int64_t fallback)
{
    const attr *a = op_attr(g, o, key);
    return a && a->type == ATTR_INT ? a->v.i : fallback;
}

double op_attr_float(const graph *g, const op *o, attr_key key, double fallback)
{
    const attr *a = op_attr(g, o, key);
    if (a && a->type == ATTR_FLOAT) return a->v.f;
    return a && a->type == ATTR_INT ? (double)a->v.i : fallback;
}

str op_attr_str(const graph *g, const op *o, attr_key key)
{
    const attr *a = op_attr(g, o, key);
    return a && a->type == ATTR_STRING ? a->v.s : (str){NULL, 0};
}

uint32_t op_attr_ints(const graph *g, const op *o, attr_key key, const int64_t **out)
{
    const attr *a = op_attr(g, o, key);
    if (!a || a->type != ATTR_INTS) return 0;
    *out = a->v.ints;
    return a->count;
}

bool graph_drop_unlisted(graph *g)
{
    uint32_t *to = ARENA_ARRAY(g->a, uint32_t, g->n_ops + 1), n = 0;
    if (!to) return false;
    for (uint32_t i = 0; i < g->n_regions; i++)
        for (uint32_t k = 0; k < g->regions[i].n_ops; k++) to[g->regions[i].ops[k]] = 1;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        if (!to[i]) continue;
        g->ops[n] = g->ops[i];
        to[i] = n++;
    }
    g->n_ops = n;
    for (uint32_t i = 0; i < g->n_regions; i++)
        for (uint32_t k = 0; k < g->regions[i].n_ops; k++) g->regions[i].ops[k] = to[g->regions[i].ops[k]];
    return true;
}
