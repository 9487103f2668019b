/* Tensors of TensorFlow Lite: what the file says of them, and the forms in which the graph has them. */
#include "load/constant.h"
#include "load/tflite_internal.h"

static dtype dtype_of(int64_t code)
{
    static const uint8_t types[] = {
        DT_FP32,
        DT_FP16,
        DT_INT32,
        DT_UINT8,
        DT_INT64,
        DT_STRING,
        DT_BOOL,
        DT_INT16,
        DT_COMPLEX64,
        DT_INT8,
        DT_FP64,
        DT_COMPLEX128,
        DT_UINT64,
        DT_UNKNOWN /* resource */,
        DT_UNKNOWN /* variant */,
        DT_UINT32,
        DT_UINT16,
        DT_INT4,
        DT_BF16,
        DT_INT2,
        DT_UINT4,
        DT_FP8E4M3,
        DT_FP8E5M2,
    };
    return code >= 0 && code < (int64_t)sizeof types ? (dtype)types[code] : DT_UNKNOWN;
}

int tflite_dtype_code(dtype d)
{
    enum { CODES = 32 };
    for (int i = 1; i < CODES; i++)
        if (dtype_of_code(i) == d) return i;
    return 0;
}

/* ---- describing ---- */

static bool bad_tensor(tflite_reader *r, const tflite_info *t, pg_code code, const char *what)
{
    error_at(r->e, code, r->wire.file.base + t->t.at, "tensor '%.*s' %s; the file is damaged", STR_ARG(t->name), what);
    return false;
}

static bool read_dims(tflite_reader *r, tflite_info *t)
{
    flatbuffer_vector shape = flatbuffer_list(&t->t, 0, 4), signature = flatbuffer_list(&t->t, 7, 4);
    if (shape.n > TFLITE_RANK) return bad_tensor(r, t, PG_E_LIMIT, "has more than 8 dimensions");
    t->rank = (int)shape.n;
    if (!shape.n && !flatbuffer_has(&t->t, 0)) t->rank = flatbuffer_u8(&t->t, 8, 0) ? 0 : -1;
    for (uint32_t i = 0; i < shape.n; i++) {
        t->dims[i] = flatbuffer_list_i32(&shape, i);
        t->open[i] = t->dims[i] == -1;
        if (signature.n == shape.n) t->open[i] |= flatbuffer_list_i32(&signature, i) == -1;
        if (t->dims[i] < -1) return bad_tensor(r, t, PG_E_FORMAT, "has a negative dimension");
    }
    return true;
}

/* Where a buffer's bytes are. Buffer 0 is empty by convention. */
static bool read_buffer(tflite_reader *r, tflite_info *t)
{
    int64_t index = flatbuffer_u32(&t->t, 2, 0);
    if (!index) return true;
    if (index >= (int64_t)r->buffers.n) return bad_tensor(r, t, PG_E_FORMAT, "names a buffer that there isn't");
    flatbuffer_table b = flatbuffer_list_table(&r->buffers, (uint32_t)index);
    t->data = flatbuffer_bytes(&b, 0);
    t->stored = t->data.len;
    int64_t offset = flatbuffer_i64(&b, 1, 0), size = flatbuffer_i64(&b, 2, 0);
    if (!t->stored && offset > 1) {
        if (size < 0 || (uint64_t)offset > r->wire.file.len || (uint64_t)size > r->wire.file.len - (uint64_t)offset)
            return bad_tensor(r, t, PG_E_TRUNCATED, "lies behind the end of the file");
        t->data = (span){r->wire.file.ptr + offset, (size_t)size, r->wire.file.base + (uint64_t)offset};
        t->stored = (uint64_t)size;
    }
    t->constant = t->stored > 0;
    t->buffer = (uint32_t)index;
    return true;
}

/* Whether a constant's bytes are as many as its shape needs. */
static bool check_size(tflite_reader *r, tflite_info *t)
{
    double elements = 1;
    for (int i = 0; i < t->rank; i++) elements *= (double)(t->dims[i] < 0 ? 1 : t->dims[i]);
    if (elements > 1e15) return bad_tensor(r, t, PG_E_LIMIT, "claims more than 1e15 elements");
    if (!t->constant || t->sparse || t->type == DT_STRING || t->type == DT_UNKNOWN) return true;
    if (t->rank < 0) t->rank = 0;
    double bytes = ceil(elements * dtype_bytes(t->type));
    if ((double)t->stored == bytes) return true;
    error_at(r->e, PG_E_FORMAT, r->wire.file.base + t->t.at,
             "tensor '%.*s' holds %llu bytes where its shape needs %.0f; the file is damaged", STR_ARG(t->name),
             (unsigned long long)t->stored, bytes);
    return false;
}

bool tflite_describe(tflite_reader *r, const tflite_scope *s, int32_t which, tflite_info *out)
{
    memset(out, 0, sizeof *out);
    if (error_is_set(r->e)) return false;
    if (which < 0 || (uint32_t)which >= s->n) {
        error_set(r->e, PG_E_FORMAT, "tensor %d is named, but the subgraph has %u; the file is damaged", (int)which,
                  s->n);
        return false;
    }
    if (s->v[which].stored) which = (int32_t)s->v[which].stored - 1;
    out->t = flatbuffer_list_table(&s->tensors, (uint32_t)which);
    out->name = flatbuffer_text(&out->t, 3);
    out->type = dtype_of(flatbuffer_i8(&out->t, 1, 0));
    out->variable = flatbuffer_u8(&out->t, 5, 0) != 0;
    out->sparse = flatbuffer_has(&out->t, 6);
    flatbuffer_table quantisation = flatbuffer_child(&out->t, 4);
    out->scales = flatbuffer_list(&quantisation, 2, 4).n;
    if (!out->scales && flatbuffer_u8(&quantisation, 4, 0)) out->scales = 1; /* described in some other way */
    return !error_is_set(r->e) && read_dims(r, out) && read_buffer(r, out) && check_size(r, out) && !error_is_set(r->e);
}

/* ---- constants ---- */

static num element(const tflite_info *t, uint32_t i)
{
    return constant_element(t->data.ptr + (size_t)i * (dtype_get(t->type)->bits / 8), t->type);
}

/* How many numbers of the constant can be had; 0: they are of no use. */
static uint32_t readable(const tflite_info *t)
{
    const dtype_info *d = dtype_get(t->type);
    if (!t->data.ptr || t->sparse || d->bits < 8) return 0;
    uint64_t n = t->stored / (d->bits / 8);
    return constant_is_kept(t->type, (double)n) ? (uint32_t)n : 0;
}

bool tflite_first_use(tflite_reader *r, const tflite_info *info)
{
    if (!info->constant || !info->buffer || r->counted[info->buffer]) return false;
    r->counted[info->buffer] = true;
    return true;
}

bool tflite_ints(tflite_reader *r, const tflite_scope *s, int32_t which, int64_t *out, uint32_t most, uint32_t *n)
{
    tflite_info info;
    *n = 0;
    if (which < 0 || !tflite_describe(r, s, which, &info) || !info.constant || dtype_get(info.type)->floating)
        return false;
    uint32_t count = readable(&info);
    if (!count || count > most) return false;
    for (uint32_t i = 0; i < count; i++) out[i] = element(&info, i).v.i;
    *n = count;
    return true;
}

/* ---- forms ---- */

/* perm[i]: which axis of the file is axis i of the form. False: the form has no such rank. */
static bool form_perm(tflite_form form, int rank, int64_t *perm)
{
    for (int i = 0; i < rank; i++) perm[i] = i;
    switch (form) {
    case FORM_FIRST:
        if (rank < 3) return false;
        perm[1] = rank - 1;
        for (int i = 2; i < rank; i++) perm[i] = i - 1;
        return true;
    case FORM_SWAPPED: perm[0] = 3, perm[1] = 0, perm[2] = 1, perm[3] = 2; return rank == 4;
    case FORM_TURNED: perm[0] = 1, perm[1] = 0; return rank == 2;
    case FORM_KERNEL_3D: perm[0] = 4, perm[1] = 3, perm[2] = 0, perm[3] = 1, perm[4] = 2; return rank == 5;
    default: return true;
    }
}

int tflite_axis(tflite_form form, int rank, int64_t axis)
{
    int64_t perm[TFLITE_RANK];
    if (axis < 0) axis += rank;
    if (rank > TFLITE_RANK || axis < 0 || axis >= rank || !form_perm(form, rank, perm)) return -1;
    for (int i = 0; i < rank; i++)
        if (perm[i] == axis) return i;
    return -1;
}

/* A Transpose between the file's order and another. `free`: no runtime moves the data. */
uint32_t tflite_relabel(tflite_reader *r, uint32_t into, uint32_t from, int rank, tflite_form to, bool free)
{
    int64_t perm[TFLITE_RANK], back[TFLITE_RANK];
    if (rank < 0 || rank > TFLITE_RANK || !form_perm(to == FORM_FILE ? FORM_FIRST : to, rank, perm)) {
        error_set(r->e, PG_E_GRAPH, "tensor '%.*s' is used as an image, but has %d dimensions; the file is damaged",
                  STR_ARG(r->g->tensors[from].name), rank);
        return NO_TENSOR;
    }
    for (int i = 0; i < rank; i++) back[perm[i]] = i;
    str name = r->g->tensors[from].name;
    uint32_t out = graph_add_tensor(r->g, name, (dtype)r->g->tensors[from].dtype);
    uint32_t o = out == NO_TENSOR ? out : graph_add_op(r->g, into, OP_Transpose, name, &from, 1, &out, 1);
    if (o == NO_TENSOR || !graph_attr_ints(r->g, ATTR_perm, to == FORM_FILE ? back : perm, (uint32_t)rank)) {
        error_nomem(r->e, r->g->a);
        return NO_TENSOR;
    }
    if (free) r->g->ops[o].flags |= OPF_RELABEL;
    r->g->tensors[out].defined = true;
    return out;
}

/* A constant, or the state of a variable, with its dims in the order of the form. */
static uint32_t make_weight(tflite_reader *r, const tflite_info *info, tflite_form form)
{
    int64_t perm[TFLITE_RANK], dims[TFLITE_RANK];
    bool again = !tflite_first_use(r, info);
    int rank = info->rank < 0 ? 0 : info->rank;
    if (!form_perm(form, rank, perm)) {
        bad_tensor(r, info, PG_E_GRAPH, "has not the dimensions that its operator needs");
        return NO_TENSOR;
    }
    for (int i = 0; i < rank; i++) dims[i] = info->open[perm[i]] ? 1 : info->dims[perm[i]];
    uint32_t index = graph_add_weight(r->g, info->name, info->type, rank, dims);
    if (index == NO_TENSOR) {
        error_nomem(r->e, r->g->a);
        return NO_TENSOR;
    }
    tensor *t = &r->g->tensors[index];
    t->defined = true;
    t->literal = again; /* so is a state, which is not stored */
    t->weight_bytes = again ? 0 : (double)info->stored;
    uint32_t n = form == FORM_FILE ? readable(info) : 0;
    if (!n || !tflite_charge(r, n)) return index;
    t->value = ARENA_ARRAY(r->g->a, num, n);
    t->value_count = n;
    for (uint32_t i = 0; t->value && i < n; i++) t->value[i] = element(info, i);
    return index;
}

bool tflite_declare(tflite_reader *r, uint32_t graph_tensor, const tflite_info *info)
{
    num dims[TFLITE_RANK];
    bool open = !info->rank && !flatbuffer_u8(&info->t, 8, 0); /* no dims, and not said to be a number */
    if (info->rank < 0 || open) return true;
    for (int i = 0; i < info->rank; i++) dims[i] = info->open[i] ? num_unknown() : num_int(info->dims[i]);
    int64_t fixed = r->g->fixed_batch, times = info->rank > 1 && fixed > 0 ? info->dims[0] / fixed : 1;
    bool batch = info->rank > 1 && r->g->batch_symbol >= 0 && (info->open[0] || info->dims[0] == times * fixed);
    if (batch && times > 0 && times <= INT32_MAX) dims[0] = (num){{.i = 0}, (int32_t)times, r->g->batch_symbol};
    if (graph_set_dims(r->g, graph_tensor, info->rank, dims)) return true;
    error_nomem(r->e, r->g->a);
    return false;
}

uint32_t tflite_define(tflite_reader *r, tflite_scope *s, int32_t which, tflite_form form)
{
    tflite_info info;
    if (!tflite_describe(r, s, which, &info)) return NO_TENSOR;
    tflite_value *v = &s->v[which];
    bool made = info.constant || v->padded;
    for (int i = 0; i < FORMS; i++) made |= v->form[i] != 0;
    if (made) {
        error_set(r->e, PG_E_GRAPH, "tensor '%.*s' is %s; the file is damaged", STR_ARG(info.name),
                  info.constant ? "a constant, but an operator makes it" : "made twice");
        return NO_TENSOR;
    }
    uint32_t t = graph_add_tensor(r->g, info.name, info.type);
    if (t == NO_TENSOR) {
        error_nomem(r->e, r->g->a);
        return NO_TENSOR;
    }
    r->g->tensors[t].defined = true;
    v->form[form] = t + 1;
    return t;
}

bool tflite_is_scratch(tflite_reader *r, const tflite_scope *s, int32_t which)
{
    tflite_info info;
    if (which < 0 || !tflite_describe(r, s, which, &info) || info.constant || info.variable) return false;
    const tflite_value *v = &s->v[which];
    bool made = v->stored || v->padded;
    for (int i = 0; i < FORMS; i++) made |= v->form[i] != 0;
    return !made;
}

bool tflite_alias(tflite_reader *r, tflite_scope *s, int32_t which, tflite_form form, uint32_t graph_tensor)
{
    if (graph_tensor == NO_TENSOR || which < 0 || (uint32_t)which >= s->n) {
        if (!error_is_set(r->e))
            error_set(r->e, PG_E_FORMAT, "a subgraph's inputs and its call differ; the file is damaged");
        return false;
    }
    s->v[which].form[form] = graph_tensor + 1;
    return true;
}

/* Zeros around an image that no convolution took along. */
static uint32_t make_padded(tflite_reader *r, tflite_scope *s, int32_t which, const tflite_info *info)
{
    tflite_value *v = &s->v[which];
    int32_t from = (int32_t)v->padded - 1;
    v->padded = 0;
    uint32_t in = tflite_get(r, s, from, FORM_FIRST), out = tflite_define(r, s, which, FORM_FIRST);
    if (in == NO_TENSOR || out == NO_TENSOR) return NO_TENSOR;
    int64_t pads[8] = {0, 0, v->pads[0], v->pads[1], 0, 0, v->pads[2], v->pads[3]};
    uint32_t o = graph_add_op(r->g, s->region, OP_Pad, info->name, &in, 1, &out, 1);
    if (o == NO_TENSOR || !graph_attr_ints(r->g, ATTR_pads, pads, 8)) error_nomem(r->e, r->g->a);
    else r->g->ops[o].type = STR("PAD");
    return out;
}

uint32_t tflite_get(tflite_reader *r, tflite_scope *s, int32_t which, tflite_form form)
{
    tflite_info info;
    if (which == -1 || !tflite_describe(r, s, which, &info)) return NO_TENSOR;
    tflite_value *v = &s->v[which];
    if (v->stored) return tflite_get(r, s, (int32_t)v->stored - 1, form);
    if (v->padded) make_padded(r, s, which, &info);
    if (v->form[form]) return v->form[form] - 1;
    uint32_t t = NO_TENSOR;
    uint32_t there = 0;
    for (int i = 0; i < FORMS && !there; i++) there = v->form[i];
    bool weight = there ? r->g->tensors[there - 1].role == ROLE_WEIGHT : info.constant || info.variable;
    if (weight) {
        t = make_weight(r, &info, form);
    } else if (v->form[FORM_FILE]) {
        t = tflite_relabel(r, s->region, v->form[FORM_FILE] - 1, info.rank, form, false);
    } else if (form == FORM_FILE && v->form[FORM_FIRST]) {
        t = tflite_relabel(r, s->region, v->form[FORM_FIRST] - 1, info.rank, FORM_FILE, false);
    } else if (!there) {
        error_set(r->e, PG_E_GRAPH, "tensor '%.*s' is read before it is made; the file is damaged", STR_ARG(info.name));
    } else if (!error_is_set(r->e)) {
        uint32_t file = tflite_get(r, s, which, FORM_FILE);
        t = file == NO_TENSOR ? file : tflite_relabel(r, s->region, file, info.rank, form, false);
    }
    if (t != NO_TENSOR) v->form[form] = t + 1;
    return t;
}

/* Constants that are broadcast get all dims of the others, in their order: a bias [c] is [1, c, 1, 1]. */
uint32_t tflite_get_broadcast(tflite_reader *r, tflite_scope *s, int32_t which, tflite_form form, int rank)
{
    tflite_info info;
    if (which == -1 || !tflite_describe(r, s, which, &info)) return NO_TENSOR;
    if (form == FORM_FILE || !info.constant || info.rank < 1 || info.rank == rank)
        return tflite_get(r, s, which, info.rank < 1 ? FORM_FILE : form);
    double elements = 1;
    for (int i = 0; i < info.rank; i++) elements *= (double)info.dims[i];
    if (elements == 1) return tflite_get(r, s, which, FORM_FILE);
    if (info.rank > rank) {
        bad_tensor(r, &info, PG_E_GRAPH, "has more dimensions than what it is combined with");
        return NO_TENSOR;
    }
    int add = rank - info.rank;
    for (int i = rank; i-- > 0;) info.dims[i] = i < add ? 1 : info.dims[i - add];
    info.rank = rank;
    return make_weight(r, &info, form);
}
