/* nn.EmbeddingBag as PyTorch's exporter writes it: a loop over the bags, each round of which cuts the bag's rows out of a list, looks
 * them up and reduces them. What was called is one lookup of all rows and one reduction, and is so again, where all bags are of one
 * size and the sizes are known: rows of a matrix, or a list and offsets of fixed lengths.
 *
 * 1. bounds = Concat(offsets, length of the list); Loop(number of bags, true)
 * 2. body: Slice(list, Unsqueeze(Gather(bounds, round)), Unsqueeze(Gather(Slice(bounds), round))), Gather(table, it),
 *    ReduceSum, ReduceMean or ReduceMax over its rows
 * 3. of a matrix: list = Reshape(matrix, -1), offsets = Range(0, its size, its width) or those numbers */
#include "load/onnx_internal.h"

typedef struct bags {
    graph *g;
    uint32_t *maker; /* of each tensor: operator + 1 */
    uint32_t cap;    /* tensors that were there */
} bags;

static const op *made_by(const bags *b, uint32_t t, op_kind kind)
{
    if (t == NO_TENSOR || t >= b->cap || !b->maker[t]) return NULL;
    const op *o = &b->g->ops[b->maker[t] - 1];
    return o->kind == kind ? o : NULL;
}

static bool find_makers(bags *b)
{
    b->cap = b->g->n_tensors;
    b->maker = ARENA_ARRAY(b->g->a, uint32_t, b->cap + 1);
    if (!b->maker) return false;
    for (uint32_t i = 0; i < b->g->n_ops; i++)
        for (uint32_t k = 0; k < b->g->ops[i].n_out; k++) {
            uint32_t t = op_out(b->g, &b->g->ops[i])[k];
            if (t != NO_TENSOR) b->maker[t] = i + 1;
        }
    return true;
}

/* What Unsqueeze(Gather(list, round)) takes from; NO_TENSOR: it is something else. */
static uint32_t taken_from(const bags *b, uint32_t t, uint32_t round)
{
    const op *wide = made_by(b, t, OP_Unsqueeze);
    const op *one = wide ? made_by(b, op_input(b->g, wide, 0), OP_Gather) : NULL;
    return one && op_input(b->g, one, 1) == round ? op_input(b->g, one, 0) : NO_TENSOR;
}

typedef struct bag {
    op_kind reduction;
    uint32_t table, list, offsets, out;
} bag;

static bool is_bag(const bags *b, const op *loop, const region **body, bag *out)
{
    const graph *g = b->g;
    const attr *a = op_attr(g, loop, ATTR_body);
    if (!a || a->type != ATTR_REGION || loop->n_in != 2 || loop->n_out != 1) return false;
    const region *r = *body = &g->regions[a->v.index];
    if (r->n_inputs != 2 || r->n_outputs != 2) return false;
    uint32_t result = r->outputs[1];
    if (result >= b->cap || !b->maker[result]) return false;
    const op *reduce = &g->ops[b->maker[result] - 1];
    if (reduce->kind != OP_ReduceSum && reduce->kind != OP_ReduceMean && reduce->kind != OP_ReduceMax) return false;
    const op *look = made_by(b, op_input(g, reduce, 0), OP_Gather);
    const op *cut = look ? made_by(b, op_input(g, look, 1), OP_Slice) : NULL;
    if (!cut || op_attr_int(g, look, ATTR_axis, 0) || op_attr_int(g, reduce, ATTR_keepdims, 1)) return false;
    uint32_t from = taken_from(b, op_input(g, cut, 1), r->inputs[0]),
             to = taken_from(b, op_input(g, cut, 2), r->inputs[0]);
    const op *bounds = made_by(b, from, OP_Concat), *ends = made_by(b, to, OP_Slice);
    if (!bounds || bounds->n_in != 2 || !ends || op_input(g, ends, 0) != from) return false;
    *out = (bag){(op_kind)reduce->kind, op_input(g, look, 0), op_input(g, cut, 0), op_input(g, bounds, 0),
                 op_out(g, loop)[0]};
    const tensor *table = &g->tensors[out->table];
    return out->offsets != NO_TENSOR && out->list != NO_TENSOR && out->out != NO_TENSOR && table->role == ROLE_WEIGHT &&
           table->rank == 2;
}

/* The matrix whose rows are the bags. */
static uint32_t matrix_of(const bags *b, const bag *x)
{
    const graph *g = b->g;
    const op *flat = made_by(b, x->list, OP_Reshape);
    uint32_t m = flat ? op_input(g, flat, 0) : NO_TENSOR;
    if (m == NO_TENSOR || g->tensors[m].rank != 2) return NO_TENSOR;
    if (made_by(b, x->offsets, OP_Range)) return m;
    const tensor *t = &g->tensors[x->offsets];
    num rows = g->tensors[m].dims[0];
    return t->role == ROLE_WEIGHT && t->rank == 1 && rows.sym == SYM_NONE && t->dims[0].v.i == rows.v.i ? m : NO_TENSOR;
}

/* Of a list and offsets of fixed lengths: how many indices each bag has, if all have as many; else 0. */
static int64_t bag_size(const graph *g, const bag *x)
{
    const tensor *list = &g->tensors[x->list], *offsets = &g->tensors[x->offsets];
    if (list->rank != 1 || offsets->rank != 1) return 0;
    num n = list->dims[0], k = offsets->dims[0];
    if (n.sym != SYM_NONE || k.sym != SYM_NONE || k.v.i < 1 || n.v.i < 1 || n.v.i % k.v.i) return 0;
    return n.v.i / k.v.i;
}

static uint32_t emit(graph *g, const bag *x, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t out)
{
    str name = g->tensors[x->out].name;
    if (out == NO_TENSOR) out = graph_add_tensor(g, name, (dtype)g->tensors[x->table].dtype);
    if (out == NO_TENSOR) return NO_TENSOR;
    g->tensors[out].defined = true;
    uint32_t o = graph_add_op(g, 0, kind, name, in, n_in, &out, 1);
    if (o == NO_TENSOR) return NO_TENSOR;
    g->ops[o].type = str_c(op_kind_name(kind));
    g->ops[o].opset = 13;
    return out;
}

static bool put_together(graph *g, const bag *x, uint32_t matrix, int64_t size)
{
    str name = g->tensors[x->out].name;
    uint32_t rows = matrix;
    if (size) { /* the call, too, goes through a list */
        uint32_t shape = graph_add_ints(g, name, 1, (int64_t[]){-1, size}, 2);
        if (shape == NO_TENSOR) return false;
        g->tensors[shape].defined = true;
        rows = emit(g, x, OP_Reshape, (uint32_t[]){x->list, shape}, 2, NO_TENSOR);
    }
    if (rows != NO_TENSOR) rows = emit(g, x, OP_Gather, (uint32_t[]){x->table, rows}, 2, NO_TENSOR);
    if (rows == NO_TENSOR) return false;
    uint32_t axis = x->reduction == OP_ReduceSum ? graph_add_ints(g, name, 1, (int64_t[]){1}, 1) : NO_TENSOR;
    if (x->reduction == OP_ReduceSum && axis == NO_TENSOR) return false;
    if (axis != NO_TENSOR) g->tensors[axis].defined = true;
    if (emit(g, x, x->reduction, (uint32_t[]){rows, axis}, axis == NO_TENSOR ? 1 : 2, x->out) == NO_TENSOR)
        return false;
    if (axis == NO_TENSOR && !graph_attr_ints(g, ATTR_axes, (int64_t[]){1}, 1)) return false;
    return graph_attr_int(g, ATTR_keepdims, 0);
}

bool onnx_put_bags_together(graph *g)
{
    bags b = {.g = g};
    uint32_t n = g->n_ops, found = 0;
    if (g->n_regions < 2) return true;
    if (!find_makers(&b)) return false;
    for (uint32_t i = 0; i < g->regions[0].n_ops; i++) {
        uint32_t at = g->regions[0].ops[i];
        const region *body;
        bag x;
        if (at >= n || g->ops[at].kind != OP_Loop || !is_bag(&b, &g->ops[at], &body, &x)) continue;
        uint32_t matrix = matrix_of(&b, &x);
        const num *width = matrix == NO_TENSOR ? NULL : &g->tensors[matrix].dims[1];
        int64_t size = !width ? bag_size(g, &x) : width->sym == SYM_NONE ? width->v.i : 0;
        if (matrix == NO_TENSOR && !size) continue;
        g->regions[body - g->regions].n_ops = 0;
        if (!put_together(g, &x, matrix, size)) return false;
        region *model = &g->regions[0];
        memmove(model->ops + i, model->ops + i + 1, (model->n_ops - i - 1) * sizeof *model->ops);
        model->n_ops--;
        i--;
        found++;
    }
    return !found || graph_drop_unlisted(g);
}
