/* Constants and variables.
 *
 * TensorProto: dtype 1, tensor_shape 2, tensor_content 4 (the numbers as they lie in memory), or lists: float_val 5, double_val 6,
 * int_val 7, string_val 8, int64_val 10, bool_val 11, half_val 13 (also bfloat16), uint32_val 16, uint64_val 17. A list that is too
 * short goes on with its last number; an empty one stands for zeros. */
#include "load/constant.h"
#include "load/tf_internal.h"

typedef struct tensor_proto {
    int64_t type;
    tf_shape shape;
    span content;
    uint64_t at;
} tensor_proto;

static pg_code parse(tf_reader *r, span proto, tensor_proto *t)
{
    enum {
        NUMBERS = 64
    }; /* that may stand before the shape: the lists are long, and others come first in every file */
    protobuf_field f;
    int got, numbers = 0;
    *t = (tensor_proto){.at = proto.base};
    while ((got = protobuf_next(&proto, &f, r->e)) == 1 && numbers < NUMBERS) {
        pg_code code = PG_E_OK;
        if (f.number == 1) t->type = protobuf_int(&f);
        else if (f.number == 2 && f.type == PROTOBUF_BYTES) code = tf_read_shape(r, f.bytes, &t->shape);
        else if (f.number == 4) t->content = f.bytes;
        else if (f.number >= 5 && f.number <= 17) numbers++;
        if (code) return code;
    }
    return got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}

/* Puts the numbers of the lists into v, which has room for n. */
static void read_lists(span proto, dtype d, num *v, uint32_t n)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    uint32_t count = 0;
    while (count < n && protobuf_next(&proto, &f, &ignored) == 1) {
        if (f.number < 5 || f.number > 17 || f.number == 8) continue;
        unsigned size = f.number == 5 ? 4 : f.number == 6 ? 8 : 0; /* packed floats; else varints */
        if (f.type != PROTOBUF_BYTES) {
            v[count++] = constant_number(f.value, d);
            continue;
        }
        for (size_t i = 0; size && i + size <= f.bytes.len && count < n; i += size) {
            uint64_t u = 0;
            for (unsigned k = 0; k < size; k++) u |= (uint64_t)f.bytes.ptr[i + k] << (8 * k);
            v[count++] = constant_number(u, d);
        }
        uint64_t u;
        while (!size && count < n && protobuf_next_varint(&f.bytes, &u, &ignored) == 1)
            v[count++] = constant_number(u, d);
    }
    num last = count ? v[count - 1] : num_int(0);
    if (!count && dtype_get(d)->floating) last.v.f = 0;
    while (count < n) v[count++] = last;
}

/* The numbers, if they are few; NULL: not wanted, or out of memory. */
static num *read_numbers(arena *a, span proto, const tensor_proto *t, double elements)
{
    dtype d = tf_dtype(t->type);
    uint32_t n = (uint32_t)elements;
    unsigned size = dtype_get(d)->bits / 8;
    num *v = ARENA_ARRAY(a, num, n ? n : 1);
    if (!v) return NULL;
    if (!t->content.len) {
        read_lists(proto, d, v, n);
        return v;
    }
    for (uint32_t i = 0; i < n; i++) v[i] = constant_element(t->content.ptr + (size_t)i * size, d);
    return v;
}

/* Elements; an error when the tensor can't be what it says. */
static pg_code check(tf_reader *r, const tf_node *n, const tensor_proto *t, double *elements)
{
    dtype d = tf_dtype(t->type);
    *elements = 1;
    if (t->shape.rank < 0) return tf_fail(r, n, "a constant of unknown shape; the file is damaged");
    for (int i = 0; i < t->shape.rank; i++) {
        if (t->shape.dims[i] < 0) return tf_fail(r, n, "a constant with a free dimension; the file is damaged");
        *elements *= (double)t->shape.dims[i];
    }
    if (*elements > 1e15)
        return error_at(r->e, PG_E_LIMIT, t->at, "constant '%.*s' claims %g elements; the file is damaged",
                        STR_ARG(n->name), *elements);
    double bytes = ceil(*elements * dtype_bytes(d));
    if (t->content.len && dtype_get(d)->bits >= 8 && d != DT_UNKNOWN && (double)t->content.len != bytes)
        return error_at(r->e, PG_E_FORMAT, t->at,
                        "constant '%.*s' holds %llu bytes where its shape needs %.0f; the file is damaged",
                        STR_ARG(n->name), (unsigned long long)t->content.len, bytes);
    return PG_E_OK;
}

pg_code tf_emit_const(tf_reader *r, uint32_t node)
{
    tf_node *n = tf_at(r, node);
    tf_value v;
    tensor_proto t;
    double elements;
    if (!tf_attr(n, "value", &v) || v.kind != TF_V_TENSOR)
        return tf_fail(r, n, "a constant without a value; the file is incomplete");
    pg_code code = parse(r, v.bytes, &t);
    if (!code) code = check(r, n, &t, &elements);
    if (code) return code;
    dtype d = tf_dtype(t.type);
    uint32_t w = graph_add_weight(r->g, n->name, d, t.shape.rank, t.shape.dims);
    if (w == NO_TENSOR) return tf_nomem(r);
    tensor *out = &r->g->tensors[w];
    out->defined = true;
    out->literal = !n->weight && (r->constants_are_literals || t.shape.rank == 0);
    if (constant_is_kept(d, elements)) {
        out->value = read_numbers(r->g->a, v.bytes, &t, elements);
        out->value_count = (uint32_t)elements;
        if (!out->value) return tf_nomem(r);
    }
    return tf_bind(r, node, 0, w) ? PG_E_OK : tf_nomem(r);
}

/* VariableV2, VarHandleOp and the like: the shape is an attribute, the numbers lie in the folder `variables`. */
pg_code tf_emit_variable(tf_reader *r, uint32_t node)
{
    tf_node *n = tf_at(r, node);
    tf_shape shape;
    dtype d = tf_dtype(tf_attr_int(n, "dtype", 0));
    bool known = tf_static_shape(r, (tf_ref){node, 0}, &shape, 0);
    uint32_t w = known ? graph_add_weight(r->g, n->name, d, shape.rank, shape.dims)
                       : graph_add_tensor(r->g, n->name, d);
    if (w == NO_TENSOR) return tf_nomem(r);
    r->g->tensors[w].role = ROLE_WEIGHT;
    r->g->tensors[w].defined = true;
    if (!known && !graph_warn(r->g, "variable '%.*s' has no shape in the file: its size isn't known", STR_ARG(n->name)))
        return tf_nomem(r);
    return tf_bind(r, node, 0, w) ? PG_E_OK : tf_nomem(r);
}

/* ---- constants before shapes are inferred ---- */

bool tf_is_variable(const tf_node *n)
{
    return tf_is(n, "VarHandleOp") || tf_is(n, "VariableV2") || tf_is(n, "Variable") ||
           tf_is(n, "AutoReloadVariable") || tf_is(n, "TemporaryVariable");
}

static bool const_proto(tf_reader *r, tf_ref ref, span *proto, tensor_proto *t)
{
    tf_value v;
    pg_error saved = *r->e;
    bool ok = !tf_resolve(r, &ref) && tf_at(r, ref.node)->kind == TF_OP && tf_is(tf_at(r, ref.node), "Const") &&
              tf_attr(tf_at(r, ref.node), "value", &v) && v.kind == TF_V_TENSOR && !parse(r, v.bytes, t);
    if (!ok) *r->e = saved;
    else *proto = v.bytes;
    return ok;
}

static double elements_of(const tf_shape *s)
{
    double n = s->rank < 0 ? -1 : 1;
    for (int i = 0; i < s->rank; i++) n *= s->dims[i] < 0 ? -1 : (double)s->dims[i];
    return n;
}

static num *const_numbers(tf_reader *r, tf_ref ref, uint32_t max, uint32_t *n, dtype *d)
{
    span proto;
    tensor_proto t;
    if (!const_proto(r, ref, &proto, &t)) return NULL;
    double elements = elements_of(&t.shape);
    *d = tf_dtype(t.type);
    unsigned bits = dtype_get(*d)->bits;
    if (elements < 0 || elements > max || !constant_is_kept(*d, elements)) return NULL;
    if (t.content.len && (double)t.content.len != elements * (bits / 8)) return NULL;
    *n = (uint32_t)elements;
    return read_numbers(&r->a, proto, &t, elements);
}

bool tf_const_ints(tf_reader *r, tf_ref ref, int64_t *out, uint32_t max, uint32_t *n)
{
    dtype d;
    num *v = const_numbers(r, ref, max, n, &d);
    if (!v || dtype_get(d)->floating) return false;
    for (uint32_t i = 0; i < *n; i++) out[i] = v[i].v.i;
    return true;
}

bool tf_const_float(tf_reader *r, tf_ref ref, double *out)
{
    dtype d;
    uint32_t n;
    num *v = const_numbers(r, ref, 1, &n, &d);
    if (!v || n != 1) return false;
    *out = dtype_get(d)->floating ? v[0].v.f : (double)v[0].v.i;
    return true;
}

static bool attr_shape(tf_reader *r, const tf_node *n, tf_shape *out)
{
    tf_value v;
    pg_error saved = *r->e;
    bool ok = tf_attr(n, "shape", &v) && v.kind == TF_V_SHAPE && !tf_read_shape(r, v.bytes, out);
    if (!ok) *r->e = saved;
    return ok && elements_of(out) >= 0 && elements_of(out) <= 1e15;
}

enum { STATIC_DEPTH = 8 };

static bool broadcast(const tf_shape *a, const tf_shape *b, tf_shape *out)
{
    const tf_shape *wide = a->rank >= b->rank ? a : b, *narrow = wide == a ? b : a;
    *out = *wide;
    for (int i = 1; i <= narrow->rank; i++) {
        int64_t x = wide->dims[wide->rank - i], y = narrow->dims[narrow->rank - i];
        if (x != y && x != 1 && y != 1) return false;
        out->dims[out->rank - i] = x == 1 ? y : x;
    }
    return true;
}

static bool reshaped(tf_reader *r, const tf_node *n, tf_shape *out)
{
    int64_t to[MAX_RANK];
    uint32_t count;
    if (!tf_const_ints(r, tf_in(r, n, 1), to, MAX_RANK, &count)) return false;
    double all = elements_of(out), rest = 1;
    int hole = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (to[i] < 0) hole = (int)i;
        else rest *= (double)to[i];
    }
    if (hole >= 0 && (rest <= 0 || rest > all)) return false;
    if (hole >= 0) to[hole] = (int64_t)(all / rest);
    out->rank = (int)count;
    if (count) memcpy(out->dims, to, count * sizeof *to);
    return elements_of(out) == all;
}

static bool transposed(tf_reader *r, const tf_node *n, tf_shape *shape)
{
    int64_t perm[MAX_RANK];
    uint32_t count;
    tf_shape from = *shape;
    if (!tf_const_ints(r, tf_in(r, n, 1), perm, MAX_RANK, &count) || count != (uint32_t)from.rank) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (perm[i] < 0 || perm[i] >= from.rank) return false;
        shape->dims[i] = from.dims[perm[i]];
    }
    return true;
}

static bool split_even(tf_reader *r, const tf_node *n, tf_shape *shape)
{
    int64_t axis, parts = tf_attr_int(n, "num_split", 0);
    uint32_t count;
    if (!tf_const_ints(r, tf_in(r, n, 0), &axis, 1, &count) || count != 1) return false;
    if (axis < 0) axis += shape->rank;
    if (axis < 0 || axis >= shape->rank || parts < 1 || shape->dims[axis] % parts) return false;
    shape->dims[axis] /= parts;
    return true;
}

static bool unpacked(const tf_node *n, tf_shape *shape)
{
    int64_t axis = tf_attr_int(n, "axis", 0);
    if (axis < 0) axis += shape->rank;
    if (axis < 0 || axis >= shape->rank) return false;
    memmove(shape->dims + axis, shape->dims + axis + 1, (size_t)(shape->rank - 1 - axis) * sizeof *shape->dims);
    shape->rank--;
    return true;
}

bool tf_static_shape(tf_reader *r, tf_ref ref, tf_shape *out, int depth)
{
    static const char *const same[] = {"Cast",
                                       "Abs",
                                       "Sign",
                                       "Rsqrt",
                                       "Sqrt",
                                       "Square",
                                       "Neg",
                                       "Tanh",
                                       "Relu",
                                       "Sigmoid",
                                       "Round",
                                       "FakeQuantWithMinMaxVars",
                                       "FakeQuantWithMinMaxVarsPerChannel",
                                       "FakeQuantWithMinMaxArgs",
                                       "QuantizeAndDequantizeV2",
                                       "QuantizeAndDequantizeV3",
                                       "QuantizeAndDequantizeV4",
                                       "Dequantize",
                                       "Softplus",
                                       "Exp",
                                       "ReverseV2"};
    static const char *const two[] = {"Mul", "Add", "AddV2", "Sub", "RealDiv", "Div", "Maximum", "Minimum"};
    pg_error saved = *r->e;
    if (depth > STATIC_DEPTH) return false;
    if (tf_resolve(r, &ref)) {
        *r->e = saved;
        return false;
    }
    tf_node n = *tf_at(r, ref.node);
    if (n.kind != TF_OP) return false;
    span proto;
    tensor_proto t;
    if (const_proto(r, ref, &proto, &t)) {
        *out = t.shape;
        return elements_of(out) >= 0 && elements_of(out) <= 1e15;
    }
    if (tf_is_variable(&n)) return attr_shape(r, &n, out);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (tf_is(&n, same[i])) return n.n_in && tf_static_shape(r, tf_in(r, &n, 0), out, depth + 1);
    for (size_t i = 0; i < sizeof two / sizeof two[0]; i++) {
        tf_shape a, b;
        if (!tf_is(&n, two[i])) continue;
        return n.n_in == 2 && tf_static_shape(r, tf_in(r, &n, 0), &a, depth + 1) &&
               tf_static_shape(r, tf_in(r, &n, 1), &b, depth + 1) && broadcast(&a, &b, out);
    }
    if (tf_is(&n, "Unpack"))
        return n.n_in == 1 && tf_static_shape(r, tf_in(r, &n, 0), out, depth + 1) && unpacked(&n, out);
    if (n.n_in != 2) return false;
    if (tf_is(&n, "Split")) return tf_static_shape(r, tf_in(r, &n, 1), out, depth + 1) && split_even(r, &n, out);
    if (!tf_is(&n, "Reshape") && !tf_is(&n, "Transpose")) return false;
    if (!tf_static_shape(r, tf_in(r, &n, 0), out, depth + 1)) return false;
    return tf_is(&n, "Reshape") ? reshaped(r, &n, out) : transposed(r, &n, out);
}

uint32_t tf_weight_of(tf_reader *r, tf_ref ref)
{
    pg_error saved = *r->e;
    for (int i = 0; i < STATIC_DEPTH; i++) {
        if (tf_resolve(r, &ref)) break;
        const tf_node *n = tf_at(r, ref.node);
        if (n->kind != TF_OP) return TF_NONE;
        if (tf_is(n, "Const") || tf_is_variable(n)) return ref.node;
        bool passes = str_starts(n->op, "FakeQuant") || str_starts(n->op, "QuantizeAndDequantize") || tf_is(n, "Cast");
        if (!passes || !n->n_in) return TF_NONE;
        ref = tf_in(r, n, 0);
    }
    *r->e = saved;
    return TF_NONE;
}

uint32_t tf_weight_as(tf_reader *r, uint32_t node, int rank, const int64_t *dims, const char *how)
{
    char key[64];
    bool added;
    size_t n = format_text(key, sizeof key, "%u %s", node, how);
    str copy = str_copy(&r->a, (str){key, n});
    uint32_t *slot = copy.ptr ? map_add(&r->weights, copy, NO_TENSOR, &added) : NULL;
    if (!slot) return NO_TENSOR;
    if (!added) return *slot;
    const tf_node *from = tf_at(r, node);
    tf_value v;
    int64_t type = tf_attr_int(from, "dtype", 0);
    if (!type && tf_attr(from, "value", &v) && v.kind == TF_V_TENSOR) type = 1;
    *slot = graph_add_weight(r->g, from->name, tf_dtype(type), rank, dims);
    if (*slot == NO_TENSOR) return NO_TENSOR;
    tensor *t = &r->g->tensors[*slot];
    t->defined = true;
    t->literal = tf_is(from, "Const") && !from->weight && r->constants_are_literals;
    return *slot;
}
