#include "support/tflite_write.h"

#include <stdlib.h>
#include <string.h>

/* ---- FlatBuffers ---- */

static size_t take(fb *b, size_t n)
{
    size_t at = b->len;
    while (b->len + n > b->cap) {
        b->cap = b->cap ? b->cap * 2 : 1024;
        b->ptr = realloc(b->ptr, b->cap);
        if (!b->ptr) abort();
    }
    memset(b->ptr + at, 0, n);
    b->len += n;
    return at;
}

static void align(fb *b)
{
    take(b, (4 - b->len % 4) % 4);
}

void fb_patch(fb *b, size_t at, int64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++) b->ptr[at + i] = (uint8_t)((uint64_t)value >> (8 * i));
}

void fb_begin(fb *b, const char *identifier)
{
    memset(b, 0, sizeof *b);
    take(b, 8);
    memcpy(b->ptr + 4, identifier, 4);
}

void fb_root(fb *b, size_t table)
{
    fb_patch(b, 0, (int64_t)table, 4);
}

size_t fb_table(fb *b, unsigned fields)
{
    align(b);
    size_t vtable = take(b, 4 + 2 * fields);
    fb_patch(b, vtable, 4 + 2 * fields, 2);
    fb_patch(b, vtable + 2, 4 + 8 * fields, 2);
    align(b);
    size_t table = take(b, 4 + 8 * fields);
    fb_patch(b, table, (int64_t)(table - vtable), 4);
    return table;
}

/* Marks a field as given; returns where it is. */
static size_t give(fb *b, size_t table, unsigned field)
{
    int32_t distance;
    memcpy(&distance, b->ptr + table, 4);
    fb_patch(b, table - (size_t)distance + 4 + 2 * field, 4 + 8 * field, 2);
    return table + 4 + 8 * field;
}

void fb_number(fb *b, size_t table, unsigned field, int64_t value, unsigned width)
{
    fb_patch(b, give(b, table, field), value, width);
}

void fb_float(fb *b, size_t table, unsigned field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    fb_number(b, table, field, bits, 4);
}

void fb_child(fb *b, size_t table, unsigned field, size_t child)
{
    size_t at = give(b, table, field);
    fb_patch(b, at, (int64_t)(child - at), 4);
}

size_t fb_vector(fb *b, size_t n, unsigned width)
{
    align(b);
    size_t at = take(b, 4 + n * width);
    fb_patch(b, at, (int64_t)n, 4);
    return at;
}

void fb_element(fb *b, size_t vector, size_t i, unsigned width, int64_t value)
{
    fb_patch(b, vector + 4 + i * width, value, width);
}

void fb_element_child(fb *b, size_t vector, size_t i, size_t child)
{
    size_t at = vector + 4 + i * 4;
    fb_patch(b, at, (int64_t)(child - at), 4);
}

size_t fb_string(fb *b, const char *text)
{
    size_t n = strlen(text), at = fb_vector(b, n, 1);
    memcpy(b->ptr + at + 4, text, n);
    take(b, 1);
    return at;
}

void fb_free(fb *b)
{
    free(b->ptr);
    memset(b, 0, sizeof *b);
}

/* ---- TensorFlow Lite ---- */

tw *tw_new(void)
{
    tw *w = calloc(1, sizeof *w);
    if (!w) abort();
    return w;
}

tw_graph *tw_add_graph(tw *w)
{
    return &w->graphs[w->n_graphs++];
}

int tw_value(tw_graph *g, const char *name, int type, const int32_t *dims)
{
    tw_tensor *t = &g->tensors[g->n_tensors];
    t->name = name;
    t->type = type;
    while (dims && dims[t->rank]) {
        t->dims[t->rank] = dims[t->rank];
        t->rank++;
    }
    return (int)g->n_tensors++;
}

int tw_weight(tw_graph *g, const char *name, int type, const int32_t *dims)
{
    static const unsigned char bits[] = {32, 16, 32, 8, 64, 0, 8, 16, 64, 8, 64, 128, 64, 0, 0, 32, 16, 4, 16};
    int i = tw_value(g, name, type, dims);
    size_t n = bits[type];
    for (int k = 0; k < g->tensors[i].rank; k++) n *= (size_t)g->tensors[i].dims[k];
    g->tensors[i].bytes = (n + 7) / 8;
    return i;
}

static int numbers(tw_graph *g, const char *name, const int32_t *dims, unsigned n, const int32_t *values)
{
    int i = tw_weight(g, name, TW_INT32, dims);
    int32_t *copy = malloc(n * sizeof *copy);
    if (!copy) abort();
    memcpy(copy, values, n * sizeof *copy);
    g->tensors[i].data = copy;
    return i;
}

int tw_ints(tw_graph *g, const char *name, unsigned n, const int32_t *values)
{
    return numbers(g, name, DIMS((int32_t)n), n, values);
}

int tw_scalar(tw_graph *g, const char *name, int32_t value)
{
    return numbers(g, name, NULL, 1, &value);
}

tw_op *tw_add_op(tw_graph *g, int number, const int *in, const int *out)
{
    tw_op *o = &g->ops[g->n_ops++];
    o->number = number;
    while (in[o->n_in] != TW_END) {
        o->in[o->n_in] = in[o->n_in];
        o->n_in++;
    }
    while (out[o->n_out] != TW_END) {
        o->out[o->n_out] = out[o->n_out];
        o->n_out++;
    }
    return o;
}

void tw_set(tw_op *o, unsigned field, char kind, double value)
{
    o->options[o->n_options++] = (tw_option){.field = field, .kind = kind, .value = value};
}

void tw_set_list(tw_op *o, unsigned field, char kind, unsigned n, const int64_t *list)
{
    tw_option *p = &o->options[o->n_options++];
    *p = (tw_option){.field = field, .kind = kind, .n = n};
    memcpy(p->list, list, n * sizeof *list);
}

void tw_ends(tw_graph *g, const int *in, const int *out)
{
    for (; in[g->n_in] != TW_END; g->n_in++) g->in[g->n_in] = in[g->n_in];
    for (; out[g->n_out] != TW_END; g->n_out++) g->out[g->n_out] = out[g->n_out];
}

static size_t put_list(fb *b, unsigned n, const int *list)
{
    size_t v = fb_vector(b, n, 4);
    for (unsigned i = 0; i < n; i++) fb_element(b, v, i, 4, list[i]);
    return v;
}

static size_t put_tensor(fb *b, const tw_tensor *t, unsigned buffer)
{
    size_t table = fb_table(b, 9), shape = fb_vector(b, (size_t)t->rank, 4);
    for (int i = 0; i < t->rank; i++) fb_element(b, shape, (size_t)i, 4, t->dims[i]);
    fb_child(b, table, 0, shape);
    fb_number(b, table, 1, t->type, 1);
    fb_number(b, table, 2, buffer, 4);
    if (t->variable) fb_number(b, table, 5, 1, 1);
    if (t->sparse) fb_child(b, table, 6, fb_table(b, 3));
    fb_child(b, table, 3, fb_string(b, t->name));
    if (t->open) {
        size_t signature = fb_vector(b, (size_t)t->rank, 4);
        for (int i = 0; i < t->rank; i++) fb_element(b, signature, (size_t)i, 4, t->open >> i & 1 ? -1 : t->dims[i]);
        fb_child(b, table, 7, signature);
    }
    if (t->scales) {
        size_t quantisation = fb_table(b, 7);
        fb_child(b, table, 4, quantisation);
        fb_child(b, quantisation, 2, fb_vector(b, (size_t)t->scales, 4));
        fb_child(b, quantisation, 3, fb_vector(b, (size_t)t->scales, 8));
    }
    return table;
}

static void put_option(fb *b, size_t table, const tw_option *o)
{
    unsigned width = o->kind == 'L' ? 8 : 4;
    switch (o->kind) {
    case 'b': fb_number(b, table, o->field, (int64_t)o->value, 1); break;
    case 'l': fb_number(b, table, o->field, (int64_t)o->value, 8); break;
    case 'f': fb_float(b, table, o->field, (float)o->value); break;
    case 'I':
    case 'L': {
        size_t v = fb_vector(b, o->n, width);
        for (unsigned i = 0; i < o->n; i++) fb_element(b, v, i, width, o->list[i]);
        fb_child(b, table, o->field, v);
        break;
    }
    default: fb_number(b, table, o->field, (int64_t)o->value, 4); break;
    }
}

static size_t put_op(fb *b, const tw_op *o, unsigned code)
{
    size_t table = fb_table(b, 13);
    fb_number(b, table, 0, code, 4);
    fb_child(b, table, 1, put_list(b, o->n_in, o->in));
    fb_child(b, table, 2, put_list(b, o->n_out, o->out));
    if (o->raw_size) {
        size_t raw = fb_vector(b, o->raw_size, 1);
        memcpy(b->ptr + raw + 4, o->raw, o->raw_size);
        fb_child(b, table, 5, raw);
    }
    if (!o->n_options) return table;
    size_t options = fb_table(b, 18);
    fb_number(b, table, o->second ? 11 : 3, 1, 1);
    fb_child(b, table, o->second ? 12 : 4, options);
    for (unsigned i = 0; i < o->n_options; i++) put_option(b, options, &o->options[i]);
    return table;
}

static size_t put_graph(fb *b, const tw_graph *g, unsigned *code, unsigned *buffer)
{
    size_t table = fb_table(b, 5), tensors = fb_vector(b, g->n_tensors, 4);
    fb_child(b, table, 0, tensors);
    for (unsigned i = 0; i < g->n_tensors; i++)
        fb_element_child(b, tensors, i, put_tensor(b, &g->tensors[i], g->tensors[i].bytes ? (*buffer)++ : 0));
    fb_child(b, table, 1, put_list(b, g->n_in, g->in));
    fb_child(b, table, 2, put_list(b, g->n_out, g->out));
    size_t ops = fb_vector(b, g->n_ops, 4);
    fb_child(b, table, 3, ops);
    for (unsigned i = 0; i < g->n_ops; i++) fb_element_child(b, ops, i, put_op(b, &g->ops[i], (*code)++));
    return table;
}

static void put_buffers(fb *b, const tw *w, size_t buffers)
{
    size_t next = 1;
    fb_element_child(b, buffers, 0, fb_table(b, 3));
    for (unsigned g = 0; g < w->n_graphs; g++)
        for (unsigned i = 0; i < w->graphs[g].n_tensors; i++) {
            const tw_tensor *t = &w->graphs[g].tensors[i];
            if (!t->bytes) continue;
            size_t table = fb_table(b, 3), data = fb_vector(b, t->bytes, 1);
            if (t->data) memcpy(b->ptr + data + 4, t->data, t->bytes);
            if (t->outside) {
                fb_number(b, table, 1, (int64_t)data + 4, 8);
                fb_number(b, table, 2, (int64_t)t->bytes, 8);
            } else {
                fb_child(b, table, 0, data);
            }
            fb_element_child(b, buffers, next++, table);
        }
}

/* A kind an operator, whatever their numbers. */
static void put_codes(fb *b, const tw *w, size_t codes)
{
    size_t next = 0;
    for (unsigned g = 0; g < w->n_graphs; g++)
        for (unsigned i = 0; i < w->graphs[g].n_ops; i++) {
            const tw_op *o = &w->graphs[g].ops[i];
            size_t table = fb_table(b, 4);
            fb_number(b, table, 0, o->number < 127 ? o->number : 127, 1);
            if (o->custom) fb_child(b, table, 1, fb_string(b, o->custom));
            fb_number(b, table, 3, o->number, 4);
            fb_element_child(b, codes, next++, table);
        }
}

size_t tw_texts(fb *b, size_t parent, unsigned field, unsigned fields, const char *const *texts)
{
    size_t list = parent ? fb_vector(b, 1, 4) : 0, t = fb_table(b, fields);
    if (parent) fb_child(b, parent, field, list);
    if (parent) fb_element_child(b, list, 0, t);
    for (unsigned i = 0; i < fields; i++)
        if (texts[i]) fb_child(b, t, i, fb_string(b, texts[i]));
    return t;
}

/* The model's list of metadata, each in a buffer of its own behind those of the tensors. */
static void put_metadata(fb *b, const tw *w, size_t model, size_t buffers, size_t next)
{
    const uint8_t version[16] = {0};
    const struct {
        const char *name;
        const void *bytes;
        size_t len;
    } all[] = {
        {"min_runtime_version", w->runtime ? version : NULL, 16},
        {"TFLITE_METADATA", w->metadata ? w->metadata->ptr : NULL, w->metadata ? w->metadata->len : 0},
    };
    size_t list = fb_vector(b, 2, 4);
    fb_child(b, model, 6, list);
    for (size_t i = 0; i < 2; i++) {
        size_t entry = fb_table(b, 2);
        fb_element_child(b, list, i, entry);
        if (!all[i].bytes) continue;
        fb_child(b, entry, 0, fb_string(b, all[i].name));
        size_t table = fb_table(b, 3), data = fb_vector(b, all[i].len, 1);
        memcpy(b->ptr + data + 4, all[i].bytes, all[i].len);
        if (!i) memcpy(b->ptr + data + 4, w->runtime, strlen(w->runtime) < 16 ? strlen(w->runtime) : 16);
        fb_child(b, table, 0, data);
        fb_number(b, entry, 1, i && w->metadata_at ? (int64_t)w->metadata_at : (int64_t)next, 4);
        fb_element_child(b, buffers, next++, table);
    }
}

fb tw_finish(tw *w)
{
    fb b;
    unsigned n_codes = 0, n_buffers = 1, code = 0, buffer = 1;
    for (unsigned g = 0; g < w->n_graphs; g++) {
        n_codes += w->graphs[g].n_ops;
        for (unsigned i = 0; i < w->graphs[g].n_tensors; i++) n_buffers += w->graphs[g].tensors[i].bytes > 0;
    }
    fb_begin(&b, "TFL3");
    size_t model = fb_table(&b, 8);
    fb_root(&b, model);
    fb_number(&b, model, 0, 3, 4);
    size_t codes = fb_vector(&b, n_codes, 4);
    fb_child(&b, model, 1, codes);
    put_codes(&b, w, codes);
    size_t graphs = fb_vector(&b, w->n_graphs, 4);
    fb_child(&b, model, 2, graphs);
    for (unsigned g = 0; g < w->n_graphs; g++)
        fb_element_child(&b, graphs, g, put_graph(&b, &w->graphs[g], &code, &buffer));
    fb_child(&b, model, 3, fb_string(&b, "made by a test"));
    size_t n_metadata = (w->runtime != NULL) + (size_t)(w->metadata != NULL);
    size_t buffers = fb_vector(&b, n_buffers + n_metadata, 4);
    fb_child(&b, model, 4, buffers);
    put_buffers(&b, w, buffers);
    if (n_metadata) put_metadata(&b, w, model, buffers, n_buffers);
    if (w->signature) {
        size_t list = fb_vector(&b, 1, 4), one = fb_table(&b, 5);
        fb_child(&b, model, 7, list);
        fb_element_child(&b, list, 0, one);
        fb_child(&b, one, 2, fb_string(&b, w->signature));
        fb_number(&b, one, 4, w->n_graphs - 1, 4);
    }
    for (unsigned g = 0; g < w->n_graphs; g++)
        for (unsigned i = 0; i < w->graphs[g].n_tensors; i++) free(w->graphs[g].tensors[i].data);
    if (w->metadata) fb_free(w->metadata);
    free(w->metadata);
    free(w);
    return b;
}
