/* Any bytes as a pickle: read, then looked at as a state dict. */
#include "load/torch_internal.h"
#include "support/heap.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const pickle_value *v, int depth, int *steps)
{
    torch_tensor t;
    if (++*steps > 10000 || depth > 50) return;
    if (torch_tensor_of(v, &t)) torch_view_fits(&t);
    torch_is_module(v);
    pickle_get(v, "state_dict");
    for (uint32_t i = 0; i < v->n; i++) look(v->items[i], depth + 1, steps);
    if (v->kind == PICKLE_OBJECT && v->state) look(v->state, depth + 1, steps);
    if (v->kind == PICKLE_OBJECT) look(v->v.object.args, depth + 1, steps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a;
    pg_error e = PG_ERROR_INIT;
    const pickle_value *v = NULL;
    span in = {data, size, 0};
    int steps = 0;
    arena_init(&a, (allocator){heap_plain, NULL}, 64 << 20);
    pg_code code = pickle_read(&in, torch_allow, &a, &v, &e);
    if (code != e.code || (code && !e.text[0]) || (!code && !v)) abort();
    if (!code) look(v, 0, &steps);
    arena_free(&a);
    return 0;
}
