/* Writes into parts of a tensor, x[a:b] = y, and rolls. Exporters make a tensor of the value first; functional programs update the part, and then
 * write the part back into what it is a part of, view by view. What was called was one write. */
#include "graph/unit_internal.h"

/* x[a:b] = number: the fill is the write. */
static void try_fill(lines *ls, line *write)
{
    uint32_t last = write->kind == OP_TensorScatter ? 1 : 2; /* whose place is no operand */
    uint32_t data = line_in(ls, write, 0), at = line_in(ls, write, 1), value = line_in(ls, write, last);
    line *fill = lines_private(ls, value, OP_KIND_COUNT), *views[2];
    uint32_t n = 0;
    while (fill && n < 2 && (fill->kind == OP_Reshape || fill->kind == OP_Expand)) {
        views[n++] = fill;
        fill = lines_private(ls, line_in(ls, fill, 0), OP_KIND_COUNT);
    }
    if (!fill || fill->kind != OP_ConstantOfShape || data == NO_TENSOR || at == NO_TENSOR || !ls->constant[at]) return;
    uint32_t out = line_out(ls, write);
    lines_absorb(ls, write, fill);
    for (uint32_t i = 0; i < n; i++) lines_absorb(ls, write, views[i]);
    lines_lead(write, (op_kind)write->kind, 0, out);
    write->in[0] = data;
    write->in[1] = at;
    write->in[last] = value;
    write->n_in = last + 1;
}

/* The updated part of a tensor goes back into it. */
static void try_write_back(lines *ls, line *write)
{
    uint32_t data = line_in(ls, write, 0), part = line_in(ls, write, 1);
    line *inner = lines_private(ls, part, OP_TensorScatter);
    if (!inner || inner == write || data == NO_TENSOR) return;
    line *view = lines_maker(ls, line_in(ls, inner, 0), OP_KIND_COUNT);
    if (!view || (view->kind != OP_Slice && view->kind != OP_Squeeze && view->kind != OP_Gather)) return;
    uint32_t value = line_in(ls, inner, 1), out = line_out(ls, write);
    if (value == NO_TENSOR) return;
    lines_absorb(ls, write, inner);
    lines_lead(write, OP_TensorScatter, 0, out);
    write->in[0] = data;
    write->in[1] = value;
    write->n_in = 2;
    ls->consumer[value] = (uint32_t)(write - ls->l) + 1;
}

static void lead_roll(lines *ls, line *end, uint32_t data)
{
    lines_lead(end, OP_Roll, 0, line_out(ls, end));
    end->in[0] = data;
    end->n_in = 1;
}

/* The end of a tensor in front of its beginning, as exporters write a roll along one dim. */
static void try_roll(lines *ls, line *join)
{
    uint32_t parts = line_op(ls, join)->n_in;
    line *a = lines_private(ls, line_in(ls, join, 0), OP_Slice), *b = lines_private(ls, line_in(ls, join, 1), OP_Slice);
    if (parts != 2 || !a || !b || a == b || line_in(ls, a, 0) != line_in(ls, b, 0)) return;
    uint32_t data = line_in(ls, a, 0);
    double whole = data == NO_TENSOR ? -1 : shape_elements(&ls->s->t[data]);
    if (whole < 0 || whole != shape_elements(&ls->s->t[line_out(ls, join)])) return;
    lines_absorb(ls, join, a);
    lines_absorb(ls, join, b);
    lead_roll(ls, join, data);
}

/* Rows picked by their own positions and a shift, modulo their number: a roll in functional programs. */
static void try_positions(lines *ls, line *gather)
{
    uint32_t data = line_in(ls, gather, 0), at = line_in(ls, gather, 1);
    if (data == NO_TENSOR || at == NO_TENSOR || ls->constant[data] || !ls->constant[at]) return;
    uint32_t maker = ls->producer[at]; /* which may be so small that the host does it */
    if (!maker || ls->l[maker - 1].kind != OP_Mod) return;
    double whole = shape_elements(&ls->s->t[data]);
    if (whole < 0 || whole != shape_elements(&ls->s->t[line_out(ls, gather)])) return;
    lead_roll(ls, gather, data);
}

void recompose_writes(lines *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (l->skip || l->leader) continue;
        if (l->kind == OP_ScatterND || l->kind == OP_ScatterElements) try_fill(ls, l);
        if (l->kind == OP_Concat) try_roll(ls, l);
        if (l->kind == OP_Gather) try_positions(ls, l);
        if (l->kind == OP_TensorScatter) {
            try_write_back(ls, l);
            if (!l->n_in) try_fill(ls, l);
        }
    }
}
