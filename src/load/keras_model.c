/* Models of the Keras loader: what layers they have, which is called on which, and in what order.
 *
 * 1. A Sequential model lists its layers (in Keras 1 its configuration is that list), which are called in turn.
 * 2. A Functional model lists layers with `inbound_nodes`, an entry for each call of the layer. Keras 1 and 2: a list of references
 *    [layer, call, output, arguments by name]; arguments may hold references too. Keras 3: {"args": [...], "kwargs": {...}} whose
 *    references are {"class_name": "__keras_tensor__", "config": {"shape": ..., "keras_history": [layer, call, output]}}.
 *    `input_layers` and `output_layers` are references, or lists or objects of them.
 * 3. A model may be a layer of another one. It is called like any other layer; the calls of it count from 1, as the first was its own
 *    making, unless the file is too new for that. */
#include "load/keras_internal.h"

enum { REFERENCES_DEEP = JSON_DEPTH_MOST };

typedef struct keras_node {
    uint32_t layer;
    const json_t *data; /* the entry of inbound_nodes */
    const json_t *said; /* the shape of its first output, where somebody who reads it says so */
    uint8_t state;      /* of the walk: 0 new, 1 being walked, 2 done */
} keras_node;

typedef struct keras_reference {
    const char *layer;
    int64_t call, output;
    const json_t *shape, *kwargs;
} keras_reference;

typedef struct keras_model {
    const json_t *config;
    bool sequential;
    keras_layer *layers;
    uint32_t n_layers;
    keras_node *nodes;
    uint32_t n_nodes;
    uint32_t *order; /* of nodes, so that what is read comes first */
    uint32_t n_order;
    keras_list inputs; /* layers */
    const json_t *outputs;
    map by_name;
} keras_model;

/* ---- references ---- */

static bool read_reference(const json_t *v, keras_reference *r)
{
    memset(r, 0, sizeof *r);
    if (json_is_object(v)) {
        if (strcmp(json_get_text(v, "class_name", ""), "__keras_tensor__") != 0) return false;
        const json_t *config = json_object_get(v, "config");
        r->shape = json_object_get(config, "shape");
        v = json_object_get(config, "keras_history");
    }
    size_t n = json_is_array(v) ? json_array_size(v) : 0;
    if (n < 3 || n > 4 || !json_is_string(json_array_get(v, 0)) || !json_is_integer(json_array_get(v, 1)) ||
        !json_is_integer(json_array_get(v, 2)))
        return false;
    r->layer = json_string_value(json_array_get(v, 0));
    r->call = json_integer_value(json_array_get(v, 1));
    r->output = json_integer_value(json_array_get(v, 2));
    r->kwargs = json_array_get(v, 3);
    return true;
}

/* Calls `see` for each reference in the value, in order; that of Keras 2 holds further ones in its arguments by name. */
static void each_reference(keras *k, const json_t *v, unsigned depth, bool by_name,
                           void (*see)(keras *k, void *ud, const keras_reference *r), void *ud)
{
    keras_reference r;
    if (k->failed || depth > REFERENCES_DEEP) return;
    if (read_reference(v, &r)) {
        see(k, ud, &r);
        if (by_name && r.kwargs) each_reference(k, r.kwargs, depth + 1, by_name, see, ud);
        return;
    }
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++)
            each_reference(k, json_array_get(v, i), depth + 1, by_name, see, ud);
    } else if (json_is_object(v)) {
        const char *key;
        json_t *member;
        json_object_foreach((json_t *)(uintptr_t)v, key, member) each_reference(k, member, depth + 1, by_name, see, ud);
    }
}

/* The node that a reference means, or n_nodes. */
static uint32_t node_of(const keras_model *m, const keras_reference *r)
{
    const uint32_t *at = map_find(&m->by_name, str_c(r->layer));
    if (!at) return m->n_nodes;
    const keras_layer *l = &m->layers[*at];
    int64_t call = r->call - l->base;
    if (call < 0 || call >= l->n_nodes) return m->n_nodes;
    return l->first_node + (uint32_t)call;
}

/* ---- reading ---- */

void keras_layer_init(keras *k, keras_layer *l, const json_t *entry, str prefix)
{
    memset(l, 0, sizeof *l);
    l->entry = entry;
    l->config = json_object_get(entry, "config");
    if (!json_is_object(l->config) && !json_is_array(l->config)) l->config = entry;
    l->class = json_get_text(entry, "class_name", NULL);
    l->prefix = prefix;
    l->name = json_get_text(entry, "name", json_get_text(l->config, "name", l->class ? l->class : "layer"));
    l->weights = keras_dtype(json_object_get(l->config, "dtype"), DT_FP32);
    const dtype_info *type = dtype_get(l->weights);
    if (!type->floating) l->weights = DT_FP32; /* an Embedding's or an input's own type is that of its numbers */
    if (!l->class) keras_fail(k, l, PG_E_FORMAT, "it has no class_name; the file is damaged");
}

/* Models of a class of one's own that are made of others' layers keep a Functional model's configuration. Layers that have a list of
 * layers in theirs (blocks of one's own, Keras 1's Merge) are no models: nothing says in what order they run. */
bool keras_is_model(const char *class, const json_t *config)
{
    static const char *const known[] = {"Sequential", "Functional", "Model"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!strcmp(class, known[i])) return json_is_array(config) || json_is_array(json_object_get(config, "layers"));
    return json_is_array(json_object_get(config, "layers")) && json_object_get(config, "output_layers");
}

static void read_layers(keras *k, keras_model *m, const json_t *list, str prefix)
{
    size_t n = json_array_size(list);
    m->layers = ARENA_ARRAY(&k->scratch, keras_layer, n);
    if (!keras_must(k, m->layers != NULL)) return;
    map_init(&m->by_name, &k->scratch);
    for (size_t i = 0; i < n && !k->failed; i++) {
        keras_layer *l = &m->layers[i];
        keras_layer_init(k, l, json_array_get(list, i), prefix);
        bool added;
        if (k->failed || !keras_must(k, map_add(&m->by_name, str_c(l->name), (uint32_t)i, &added) != NULL)) return;
        if (!added && !m->sequential) keras_fail(k, l, PG_E_GRAPH, "two layers have this name; save the model again");
        l->first_node = m->n_nodes;
        l->n_nodes = 1;
        if (!m->sequential) l->n_nodes = (uint32_t)json_array_size(json_object_get(l->entry, "inbound_nodes"));
        if (!l->n_nodes && !strcmp(l->class, "InputLayer")) l->n_nodes = 1;
        m->n_nodes += l->n_nodes;
    }
    m->n_layers = (uint32_t)n;
}

static void make_nodes(keras *k, keras_model *m)
{
    m->nodes = ARENA_ARRAY(&k->scratch, keras_node, m->n_nodes);
    m->order = ARENA_ARRAY(&k->scratch, uint32_t, m->n_nodes);
    if (!keras_must(k, m->nodes && m->order)) return;
    for (uint32_t i = 0; i < m->n_layers; i++)
        for (uint32_t c = 0; c < m->layers[i].n_nodes; c++)
            m->nodes[m->layers[i].first_node + c] = (keras_node){
                .layer = i, .data = json_array_get(json_object_get(m->layers[i].entry, "inbound_nodes"), c)};
}

/* Models that are layers count their calls from 1. */
static void see_base(keras *k, void *ud, const keras_reference *r)
{
    keras_model *m = ud;
    const uint32_t *at = map_find(&m->by_name, str_c(r->layer));
    (void)k;
    if (!at) return;
    keras_layer *l = &m->layers[*at];
    if (l->n_nodes && r->call == l->n_nodes) l->base = 1;
}

static void see_shape(keras *k, void *ud, const keras_reference *r)
{
    keras_model *m = ud;
    uint32_t n = node_of(m, r);
    (void)k;
    if (n < m->n_nodes && r->shape && r->output == 0 && !m->nodes[n].said) m->nodes[n].said = r->shape;
}

typedef struct walk {
    keras_model *m;
    uint32_t *stack;
    uint32_t n, cap, reader;
} walk;

static void push(keras *k, walk *w, uint32_t node)
{
    if (w->n == w->cap) {
        uint32_t cap = w->cap ? w->cap * 2 : 64;
        uint32_t *bigger = arena_grow(&k->scratch, w->stack, w->cap, cap, sizeof *bigger);
        if (!keras_must(k, bigger != NULL)) return;
        w->stack = bigger;
        w->cap = cap;
    }
    w->stack[w->n++] = node;
}

static void see_read(keras *k, void *ud, const keras_reference *r)
{
    walk *w = ud;
    keras_model *m = w->m;
    uint32_t n = node_of(m, r);
    if (n == m->n_nodes) {
        bool known = map_find(&m->by_name, str_c(r->layer)) != NULL;
        if (!strcmp(r->layer, "_CONSTANT_VALUE")) return;
        if (!known && w->reader != NO_TENSOR && r->kwargs == NULL && r->shape == NULL)
            return; /* an argument that only looks like a reference */
        keras_fail(k, w->reader == NO_TENSOR ? NULL : &m->layers[m->nodes[w->reader].layer], PG_E_GRAPH,
                   known ? "reads call %lld of layer '%.100s', which has no such call; save the model again"
                         : "reads call %lld of layer '%.100s', which is not there; save the model again",
                   (long long)r->call, r->layer);
        return;
    }
    if (m->nodes[n].state == 1)
        keras_fail(k, &m->layers[m->nodes[n].layer], PG_E_GRAPH, "it feeds itself; save the model again");
    else if (m->nodes[n].state == 0) push(k, w, n);
}

/* Depth first, with a stack of its own: files may be deep. A node stands on the stack until what it reads is done. */
static void order_nodes(keras *k, keras_model *m)
{
    walk w = {.m = m};
    for (uint32_t i = 0; i < m->n_nodes && !k->failed; i++) {
        if (m->nodes[i].state) continue;
        push(k, &w, i);
        while (w.n && !k->failed) {
            uint32_t n = w.stack[w.n - 1];
            keras_node *node = &m->nodes[n];
            if (node->state == 0) {
                node->state = 1;
                w.reader = n;
                each_reference(k, node->data, 0, true, see_read, &w);
                continue;
            }
            if (node->state == 1) {
                node->state = 2;
                m->order[m->n_order++] = n;
            }
            w.n--;
        }
    }
}

static void see_input(keras *k, void *ud, const keras_reference *r)
{
    keras_model *m = ud;
    const uint32_t *at = map_find(&m->by_name, str_c(r->layer));
    if (at) keras_give(k, &m->inputs, *at);
    else keras_fail(k, NULL, PG_E_GRAPH, "the input layer '%.100s' is not there; save the model again", r->layer);
}

static void read_functional(keras *k, keras_model *m)
{
    m->outputs = json_object_get(m->config, "output_layers");
    each_reference(k, json_object_get(m->config, "input_layers"), 0, false, see_input, m);
    for (uint32_t i = 0; i < m->n_nodes; i++) each_reference(k, m->nodes[i].data, 0, true, see_base, m);
    each_reference(k, m->outputs, 0, false, see_base, m);
    for (uint32_t i = 0; i < m->n_nodes; i++) each_reference(k, m->nodes[i].data, 0, true, see_shape, m);
    order_nodes(k, m);
    walk outputs = {.m = m, .reader = NO_TENSOR};
    each_reference(k, m->outputs, 0, false, see_read, &outputs);
}

keras_model *keras_model_read(keras *k, const json_t *entry, str prefix)
{
    keras_model *m = ARENA_NEW(&k->scratch, keras_model);
    if (!keras_must(k, m != NULL)) return NULL;
    const char *class = json_get_text(entry, "class_name", "Functional");
    m->config = json_object_get(entry, "config");
    const json_t *list = json_is_array(m->config) ? m->config : json_object_get(m->config, "layers");
    m->sequential = !strcmp(class, "Sequential") || !json_object_get(m->config, "input_layers");
    if (!json_is_array(list) || !json_array_size(list)) {
        keras_fail(k, NULL, PG_E_GRAPH, "the model has no layers; build it before saving");
        return NULL;
    }
    read_layers(k, m, list, prefix);
    if (!k->failed) make_nodes(k, m);
    if (!k->failed && !m->sequential) read_functional(k, m);
    return k->failed ? NULL : m;
}

/* ---- running ---- */

uint32_t keras_tensor(keras *k, const keras_scope *s, const json_t *argument)
{
    keras_reference r;
    (void)k;
    if (!s || !argument || !read_reference(argument, &r)) return NO_TENSOR;
    uint32_t n = node_of(s->model, &r);
    if (n == s->model->n_nodes) return NO_TENSOR;
    const keras_list *v = &s->values[n];
    return r.output >= 0 && r.output < v->n ? v->t[r.output] : NO_TENSOR;
}

/* What a free dim is called, and how large it is when nobody says. */
static num free_dim(keras *k, int axis, int rank, bool channels_first)
{
    static const char *const spatial[] = {"height", "width"};
    int at = axis - (channels_first ? 2 : 1), dims = rank - 2;
    const char *name = "sequence";
    int64_t size = 128;
    if (rank >= 4 && at >= 0 && at < dims) {
        name = at >= dims - 2 ? spatial[at - (dims - 2)] : "depth";
        size = at >= dims - 2 ? 224 : 16;
    } else if (rank >= 4) {
        name = "channels";
        size = 3;
    } else if (axis > 1) {
        name = "features";
        size = 1;
    }
    int32_t symbol = graph_add_symbol(k->g, str_c(name), size);
    keras_must(k, symbol >= 0);
    return (num){{.i = 0}, 1, symbol < 0 ? SYM_UNKNOWN : symbol};
}

/* Where layers write the shape of what they take: Keras 3, 2, and without the batch (Keras 1). */
static const json_t *shape_of(const json_t *config, bool *without_batch)
{
    const json_t *v = json_object_get(config, "batch_shape");
    if (!v || json_is_null(v)) v = json_object_get(config, "batch_input_shape");
    if (!v || json_is_null(v)) v = json_object_get(config, "build_input_shape");
    *without_batch = false;
    if (json_is_array(v)) return v;
    *without_batch = true;
    return json_object_get(config, "input_shape");
}

static void input_of(keras *k, const keras_layer *l, const json_t *shape, bool without_batch, dtype type)
{
    num dims[8];
    int n = 0, rank = (int)json_array_size(shape) + without_batch;
    if (!json_is_array(shape) || json_array_size(shape) > 7) {
        keras_fail(k, l, PG_E_UNSUPPORTED,
                   "the shape of the model's input is not given; build the model before saving");
        return;
    }
    num batch = {{.i = 0}, 1, k->g->batch_symbol};
    if (without_batch) dims[n++] = batch;
    bool last = rank > 0 && json_is_integer(json_array_get(shape, json_array_size(shape) - 1));
    for (size_t i = 0; i < json_array_size(shape); i++, n++) {
        const json_t *v = json_array_get(shape, i);
        int64_t size = json_is_integer(v) ? json_integer_value(v) : 0;
        if (json_is_integer(v) && (size < 1 || size > INT32_MAX))
            keras_fail(k, l, PG_E_GRAPH, "a dimension of its shape is out of range; it must be from 1 to 2147483647");
        dims[n] = size > 0 ? num_int(size) : n == 0 ? batch : free_dim(k, n, rank, !last && rank >= 4);
        if (n == 0 && size > 0 && (!k->g->fixed_batch || k->g->fixed_batch == size)) {
            k->g->fixed_batch = size;
            k->g->symbols[k->g->batch_symbol].fallback = size;
            dims[n] = batch;
        }
    }
    str name = str_copy(k->g->a, str_c(l->name));
    if (!keras_must(k, name.ptr != NULL)) return;
    uint32_t t = graph_add_tensor(k->g, name, type);
    keras_must(k, t != NO_TENSOR && graph_set_dims(k->g, t, rank, dims) && graph_add_input(k->g, 0, t));
}

static bool is_input(const keras_layer *l)
{
    return !strcmp(l->class, "InputLayer");
}

/* The graph's inputs, all of them before the first operator: shapes are inferred with what they are. */
static void make_inputs(keras *k, keras_model *m)
{
    bool bare = false;
    if (m->sequential) {
        keras_layer *first = &m->layers[0];
        const json_t *shape = shape_of(first->config, &bare), *own = first->config;
        while (!json_is_array(shape) && (json_is_array(own) || json_is_array(json_object_get(own, "layers")))) {
            const json_t *list = json_is_array(own) ? own : json_object_get(own, "layers"); /* a model in front */
            own = json_object_get(json_array_get(list, 0), "config");
            shape = shape_of(own, &bare);
        }
        if (!json_is_array(shape)) shape = shape_of(m->config, &bare);
        if (!json_is_array(shape)) shape = shape_of(json_object_get(first->entry, "build_config"), &bare);
        bool ids = !strcmp(first->class, "Embedding");
        input_of(k, first, shape, bare, ids ? DT_INT32 : keras_dtype(json_object_get(own, "dtype"), DT_FP32));
        return;
    }
    for (uint32_t i = 0; i < m->inputs.n && !k->failed; i++) {
        keras_layer *l = &m->layers[m->inputs.t[i]];
        const json_t *shape = shape_of(l->config, &bare);
        input_of(k, l, shape, bare, keras_dtype(json_object_get(l->config, "dtype"), DT_FP32));
    }
    if (m->inputs.n) return;
    for (uint32_t i = 0; i < m->n_layers && !k->failed; i++) { /* the list forgets them */
        keras_layer *l = &m->layers[i];
        if (!is_input(l)) continue;
        const json_t *shape = shape_of(l->config, &bare);
        input_of(k, l, shape, bare, keras_dtype(json_object_get(l->config, "dtype"), DT_FP32));
    }
}

typedef struct gather {
    const keras_scope *scope;
    keras_list *out;
    const keras_layer *reader;
} gather;

static void see_tensor(keras *k, void *ud, const keras_reference *r)
{
    gather *x = ud;
    const keras_model *m = x->scope->model;
    uint32_t n = node_of(m, r);
    if (n == m->n_nodes) return;
    const keras_list *v = &x->scope->values[n];
    if (r->output >= 0 && r->output < v->n) keras_give(k, x->out, v->t[r->output]);
    else
        keras_fail(k, x->reader, PG_E_GRAPH, "reads output %lld of layer '%.100s', which has %u; save the model again",
                   (long long)r->output, r->layer, v->n);
}

static void run_node(keras *k, const keras_scope *s, uint32_t n)
{
    const keras_model *m = s->model;
    const keras_node *node = &m->nodes[n];
    keras_layer *l = &m->layers[node->layer];
    keras_list in = {0};
    keras_reference first;
    keras_call c = {.l = l, .scope = s, .said = node->said};
    gather x = {s, &in, l};
    if (json_is_object(node->data)) {
        c.args = json_object_get(node->data, "args");
        c.kwargs = json_object_get(node->data, "kwargs");
        each_reference(k, c.args, 0, false, see_tensor, &x);
    } else {
        const json_t *one = json_array_get(node->data, 0);
        if (json_is_string(one)) one = node->data; /* a single reference is not in a list */
        if (read_reference(one, &first)) each_reference(k, node->data, 0, false, see_tensor, &x);
        c.kwargs = json_array_get(one, 3); /* also behind "_CONSTANT_VALUE", -1 and a number */
        c.args = one;
    }
    if (k->failed) return;
    c.in = in.t;
    c.n_in = in.n;
    keras_run(k, &c);
    s->values[n] = c.out;
}

/* Behind a layer that is not known, what a model says of its input is what is known of it. */
static void expect(keras *k, uint32_t t, const keras_layer *input)
{
    bool bare;
    const json_t *shape = shape_of(input->config, &bare);
    if (t == NO_TENSOR || bare || !json_is_array(shape) || keras_rank(k, t) >= 0 || k->failed) return;
    if (k->g->tensors[t].rank >= 0) return;
    keras_declare(k, t, shape);
    if (!k->failed && shape_walk_learn(k->shapes, t, k->e)) k->failed = true;
}

static void run_functional(keras *k, keras_model *m, const uint32_t *in, uint32_t n_in, keras_list *out)
{
    keras_scope s = {m, ARENA_ARRAY(&k->scratch, keras_list, m->n_nodes)};
    if (!keras_must(k, s.values != NULL)) return;
    uint32_t used = 0;
    for (uint32_t i = 0; i < m->inputs.n && i < n_in; i++, used++) {
        const keras_layer *l = &m->layers[m->inputs.t[i]];
        if (l->n_nodes) keras_give(k, &s.values[l->first_node], in[i]);
        expect(k, in[i], l);
    }
    for (uint32_t i = 0; i < m->n_layers && !m->inputs.n && used < n_in; i++)
        if (is_input(&m->layers[i])) keras_give(k, &s.values[m->layers[i].first_node], in[used++]);
    for (uint32_t i = 0; i < m->n_order && !k->failed; i++) {
        uint32_t n = m->order[i];
        const keras_layer *l = &m->layers[m->nodes[n].layer];
        if (s.values[n].n) continue; /* an input */
        if (is_input(l)) keras_fail(k, l, PG_E_GRAPH, "nothing is given to this input; save the model again");
        else run_node(k, &s, n);
    }
    gather x = {&s, out, NULL};
    if (json_is_null(m->outputs) || !m->outputs) {
        if (m->n_order && s.values[m->order[m->n_order - 1]].n)
            keras_give(k, out, s.values[m->order[m->n_order - 1]].t[0]);
    } else {
        each_reference(k, m->outputs, 0, false, see_tensor, &x);
    }
}

void keras_model_run(keras *k, keras_model *m, const uint32_t *in, uint32_t n_in, keras_list *out)
{
    if (!in) {
        make_inputs(k, m);
        in = k->g->regions[0].inputs;
        n_in = k->g->regions[0].n_inputs;
        if (!k->failed) k->shapes = shape_walk_new(k->g, &k->scratch);
        keras_must(k, k->shapes != NULL);
    }
    if (k->failed) return;
    if (++k->depth > k->max_depth) {
        keras_fail(k, NULL, PG_E_LIMIT, "models are nested more than %u deep; the file is not a sane model",
                   k->max_depth);
        return;
    }
    if (!m->sequential) {
        run_functional(k, m, in, n_in, out);
    } else {
        keras_list now = {0};
        for (uint32_t i = 0; i < n_in; i++) keras_give(k, &now, in[i]);
        if (n_in) expect(k, in[0], &m->layers[0]);
        for (uint32_t i = 0; i < m->n_layers && !k->failed; i++) {
            if (is_input(&m->layers[i])) continue;
            keras_call c = {.l = &m->layers[i], .in = now.t, .n_in = now.n};
            keras_run(k, &c);
            now = c.out;
        }
        for (uint32_t i = 0; i < now.n; i++) keras_give(k, out, now.t[i]);
    }
    k->depth--;
}
