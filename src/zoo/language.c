#include "zoo/language.h"

static lm_layer *copy(nn *n, const lm_layer *layers, uint32_t count)
{
    if (n->failed || !count) return NULL;
    lm_layer *l = ARENA_ARRAY(n->g->a, lm_layer, count);
    if (l) memcpy(l, layers, count * sizeof *l);
    else n->failed = true;
    return l;
}

void zoo_language_kinds(nn *n, const language_model *m, const lm_layer *layers, const lm_layer *encoder)
{
    lm_layer *own = copy(n, layers, m->n_layers), *read = copy(n, encoder, m->n_encoder);
    language_model *all = n->failed ? NULL : ARENA_NEW(n->g->a, language_model);
    if (!all) {
        n->failed = true;
        return;
    }
    *all = *m;
    if (!all->weights) all->weights = n->weights;
    if (!all->max_position) all->max_position = n->entry->max_sequence;
    lm_count(all, own, read);
    n->g->language = all;
}

void zoo_language(nn *n, const language_model *m, const lm_layer *layer, const lm_layer *encoder)
{
    language_model one = *m;
    one.n_layers = 1;
    one.n_encoder = encoder ? 1 : 0;
    zoo_language_kinds(n, &one, layer, encoder);
}
