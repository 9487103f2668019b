/* Resizing an image, as torch.export's decompositions write it: the pixels around each new one are picked by positions that are
 * constants, one gather for each of them, and blended by constant shares. What was called was one resize. */
#include "graph/unit_internal.h"

enum { SPAN = 400, NEAREST = 1, BILINEAR = 4, BICUBIC = 16 };

/* The image that a gather picks pixels of, its height and width joined for that; NO_TENSOR: it is none. */
static uint32_t picked_image(const lines *ls, const line *l)
{
    if (l->skip || l->leader || l->kind != OP_Gather || l->n_in) return NO_TENSOR;
    uint32_t flat = line_in(ls, l, 0), at = line_in(ls, l, 1);
    const line *join = lines_maker(ls, flat, OP_Reshape);
    uint32_t x = join ? line_in(ls, join, 0) : NO_TENSOR;
    if (x == NO_TENSOR || at == NO_TENSOR || !ls->constant[at] || ls->constant[x]) return NO_TENSOR;
    const tensor_shape *a = &ls->s->t[x], *b = &ls->s->t[flat], *i = &ls->s->t[at], *y = &ls->s->t[line_out(ls, l)];
    if (a->rank != 4 || b->rank != 3 || i->rank != 2 || y->rank != 4 ||
        op_attr_int(ls->g, line_op(ls, l), ATTR_axis, 0) != 2)
        return NO_TENSOR;
    for (int k = 0; k < 2; k++)
        if (!num_known(a->dims[k]) || !num_known(b->dims[k]) || a->dims[k].v.i != b->dims[k].v.i) return NO_TENSOR;
    return x;
}

typedef struct blend {
    uint32_t from, n, picks; /* lines from `from` on */
    bool in[SPAN];
} blend;

static bool made_within(const lines *ls, const blend *b, uint32_t t)
{
    uint32_t maker = ls->producer[t];
    return maker > b->from && maker - 1 - b->from < b->n && b->in[maker - 1 - b->from];
}

static bool is_share(const lines *ls, const blend *b, const line *l)
{
    bool any = false;
    if (l->skip || l->leader || (l->kind != OP_Add && l->kind != OP_Sub && l->kind != OP_Mul)) return false;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t t = line_in(ls, l, i);
        if (t == NO_TENSOR) return false;
        bool within = made_within(ls, b, t);
        any |= within;
        if (!within && !ls->constant[t]) return false;
    }
    return any;
}

/* The only line whose result leaves the blend. */
static line *leaving(lines *ls, const blend *b)
{
    line *end = NULL;
    for (uint32_t i = 0; i < b->n; i++) {
        if (!b->in[i]) continue;
        uint32_t out = line_out(ls, &ls->l[b->from + i]), inner = 0;
        for (uint32_t k = i + 1; k < b->n; k++)
            for (uint32_t in = 0; b->in[k] && in < 2; in++) inner += line_in(ls, &ls->l[b->from + k], in) == out;
        if (ls->uses[out] == inner) continue;
        if (end) return NULL;
        end = &ls->l[b->from + i];
    }
    return end;
}

static void try_resize(lines *ls, uint32_t first, uint32_t x)
{
    blend b = {.from = first};
    for (uint32_t i = first; i < ls->n && b.n < SPAN; i++) {
        bool pick = picked_image(ls, &ls->l[i]) == x;
        b.picks += pick;
        b.in[b.n++] = pick || is_share(ls, &b, &ls->l[i]);
    }
    line *end = b.picks == NEAREST || b.picks == BILINEAR || b.picks == BICUBIC ? leaving(ls, &b) : NULL;
    if (!end) return;
    uint32_t out = line_out(ls, end);
    for (uint32_t i = 0; i < b.n; i++)
        if (b.in[i]) lines_absorb(ls, end, &ls->l[b.from + i]);
    lines_lead(end, OP_Resize, b.picks == NEAREST ? 0 : UNIT_SMOOTH, out);
    end->in[0] = x;
    end->n_in = 1;
    ls->uses[x]++;
}

/* Channels to pixels, or back: views up to six dims, turned, and views back to four. */
static void try_shuffle(lines *ls, line *turn)
{
    enum { IMAGE = 4, VIEWS = 4 };
    static const int64_t orders[2][6] = {{0, 1, 4, 2, 5, 3}, {0, 1, 3, 5, 2, 4}};
    const int64_t *perm = NULL;
    if (op_attr_ints(ls->g, line_op(ls, turn), ATTR_perm, &perm) != 6) return;
    bool forth = memcmp(perm, orders[0], sizeof orders[0]) == 0;
    if (!forth && memcmp(perm, orders[1], sizeof orders[1]) != 0) return;
    line *views[2 * VIEWS], *end = NULL;
    uint32_t n = 0, x = line_in(ls, turn, 0), y = line_out(ls, turn);
    while (x != NO_TENSOR && ls->s->t[x].rank != IMAGE && n < VIEWS) {
        line *l = lines_private(ls, x, OP_KIND_COUNT);
        if (!l || l->n_in || (l->kind != OP_Reshape && l->kind != OP_Unsqueeze)) return;
        views[n++] = l;
        x = line_in(ls, l, 0);
    }
    while (ls->s->t[y].rank != IMAGE && n < 2 * VIEWS) {
        end = lines_reader(ls, y, OP_KIND_COUNT);
        if (!end || end->n_in || (end->kind != OP_Reshape && end->kind != OP_Squeeze)) return;
        views[n++] = end;
        y = line_out(ls, end);
    }
    if (!end || x == NO_TENSOR || ls->s->t[x].rank != IMAGE || ls->s->t[y].rank != IMAGE) return;
    lines_absorb(ls, end, turn);
    for (uint32_t i = 0; i < n; i++) lines_absorb(ls, end, views[i]);
    lines_lead(end, forth ? OP_DepthToSpace : OP_SpaceToDepth, 0, y);
    end->in[0] = x;
    end->n_in = 1;
    ls->consumer[x] = (uint32_t)(end - ls->l) + 1;
}

void recompose_resizes(lines *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (l->kind == OP_Transpose && !l->skip && !l->leader && !l->n_in) try_shuffle(ls, l);
        uint32_t x = picked_image(ls, &ls->l[i]);
        if (x != NO_TENSOR) try_resize(ls, i, x);
    }
}
