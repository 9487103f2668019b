/* Operators of TensorFlow Lite that make data, pick it, or keep it from step to step. */
#include "load/tflite_internal.h"

/* ShapeOptions: out_type 0. The shape is the file's order of axes. */
pg_code tflite_shape(tflite_reader *r, tflite_node *n)
{
    int32_t t = tflite_in(n, 0);
    tflite_info x;
    if (!tflite_in_info(r, n, 0, &x)) return tflite_status(r);
    tflite_value *v = &n->s->v[t];
    if (!v->form[FORM_FILE] && v->form[FORM_FIRST]) { /* asking for it moves nothing */
        uint32_t back = tflite_relabel(r, n->s->region, v->form[FORM_FIRST] - 1, x.rank, FORM_FILE, true);
        if (back == NO_TENSOR) return tflite_status(r);
        uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
        tflite_emit(r, n, OP_Shape, &back, 1, out);
        return tflite_status(r);
    }
    uint32_t in = tflite_get(r, n->s, t, FORM_FILE), out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    tflite_emit(r, n, OP_Shape, &in, 1, out);
    return tflite_status(r);
}

/* The number of dims: the size of the shape. */
pg_code tflite_rank(tflite_reader *r, tflite_node *n)
{
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE),
             out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (in == NO_TENSOR) return tflite_lacks_input(r, n);
    n->labelled = true;
    uint32_t shape = tflite_emit(r, n, OP_Shape, &in, 1, NO_TENSOR);
    n->labelled = false;
    tflite_emit(r, n, OP_Size, &shape, 1, out);
    return tflite_status(r);
}

/* Operands: dims, value. */
pg_code tflite_fill(tflite_reader *r, tflite_node *n)
{
    tflite_info value;
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE),
             out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (!tflite_in_info(r, n, 1, &value)) return tflite_status(r);
    uint32_t t = tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE);
    if (in == NO_TENSOR || t == NO_TENSOR) return tflite_lacks_input(r, n);
    tflite_emit(r, n, OP_ConstantOfShape, &in, 1, out);
    if (tflite_status(r)) return tflite_status(r);
    return !value.constant || graph_attr_index(r->g, ATTR_value, ATTR_TENSOR, t) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

pg_code tflite_zeros_like(tflite_reader *r, tflite_node *n)
{
    tflite_info y;
    if (!tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE),
             out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (in == NO_TENSOR) return tflite_lacks_input(r, n);
    n->labelled = true;
    uint32_t shape = tflite_emit(r, n, OP_Shape, &in, 1, NO_TENSOR);
    n->labelled = false;
    tflite_emit(r, n, OP_ConstantOfShape, &shape, 1, out);
    if (tflite_status(r)) return tflite_status(r);
    uint32_t zero = tflite_zero(r, y.type);
    return zero != NO_TENSOR && graph_attr_index(r->g, ATTR_value, ATTR_TENSOR, zero) ? PG_E_OK
                                                                                      : error_nomem(r->e, r->g->a);
}

/* Operand: the shape. */
pg_code tflite_random(tflite_reader *r, tflite_node *n)
{
    uint32_t shape = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE),
             out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (shape == NO_TENSOR) return tflite_lacks_input(r, n);
    n->labelled = true;
    uint32_t zeros = tflite_emit(r, n, OP_ConstantOfShape, &shape, 1, NO_TENSOR);
    n->labelled = false;
    tflite_emit(r, n, n->kind, &zeros, 1, out);
    return tflite_status(r);
}

/* Indices, depth, on, off. OneHotOptions: axis 0. */
pg_code tflite_one_hot(tflite_reader *r, tflite_node *n)
{
    uint32_t in[3];
    for (uint32_t i = 0; i < 3; i++) {
        in[i] = tflite_get(r, n->s, tflite_in(n, i), FORM_FILE);
        if (in[i] == NO_TENSOR) return tflite_lacks_input(r, n);
    }
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    tflite_emit(r, n, OP_OneHot, in, 3, out);
    if (tflite_status(r)) return tflite_status(r);
    return graph_attr_int(r->g, ATTR_axis, flatbuffer_i32(&n->options, 0, -1)) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* Places of what is true, a row each. */
pg_code tflite_where(tflite_reader *r, tflite_node *n)
{
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE),
             out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (in == NO_TENSOR) return tflite_lacks_input(r, n);
    uint32_t columns = tflite_emit(r, n, OP_NonZero, &in, 1, NO_TENSOR);
    tflite_emit(r, n, OP_Transpose, &columns, 1, out);
    return tflite_status(r);
}

/* Values at indices of zeros of this shape; inputs by their places. */
static pg_code scatter(tflite_reader *r, tflite_node *n, uint32_t values, uint32_t sizes)
{
    uint32_t at = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE),
             what = tflite_get(r, n->s, tflite_in(n, values), FORM_FILE);
    uint32_t shape = tflite_get(r, n->s, tflite_in(n, sizes), FORM_FILE),
             out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (at == NO_TENSOR || what == NO_TENSOR || shape == NO_TENSOR) return tflite_lacks_input(r, n);
    n->labelled = true;
    uint32_t zeros = tflite_emit(r, n, OP_ConstantOfShape, &shape, 1, NO_TENSOR);
    n->labelled = false;
    tflite_emit(r, n, OP_ScatterND, (const uint32_t[]){zeros, at, what}, 3, out);
    return tflite_status(r);
}

/* Indices, updates, shape. */
pg_code tflite_scatter_nd(tflite_reader *r, tflite_node *n)
{
    return scatter(r, n, 1, 2);
}

/* Indices, shape, values, the value elsewhere. */
pg_code tflite_sparse_to_dense(tflite_reader *r, tflite_node *n)
{
    return scatter(r, n, 2, 1);
}

/* ---- detection ---- */

/* Boxes, scores, how many, thresholds -> indices, how many (V5: also scores): the boxes that are kept, padded to as many as the file
 * declares. */
pg_code tflite_suppression(tflite_reader *r, tflite_node *n)
{
    n->kind = OP_DetectionPostProcess;
    for (uint32_t i = 0; i < 2; i++)
        if (tflite_get(r, n->s, tflite_in(n, i), FORM_FILE) == NO_TENSOR) return tflite_lacks_input(r, n);
    return tflite_plain(r, n);
}

/* ---- variables ---- */

/* A state outlives a step. Reading it gives what is there, of the file's shape; writing it gives nothing. */
pg_code tflite_variable(tflite_reader *r, tflite_node *n)
{
    enum { ASSIGN_VARIABLE = 144 };
    if (n->number == ASSIGN_VARIABLE) return PG_E_OK;
    tflite_info y;
    if (!tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (out == NO_TENSOR || !tflite_declare(r, out, &y)) return tflite_status(r);
    r->g->tensors[out].role = ROLE_WEIGHT;
    r->g->tensors[out].literal = true;
    return PG_E_OK;
}
