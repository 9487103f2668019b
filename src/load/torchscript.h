/* TorchScript: what the files of the interpreter share.
 *
 * The source is run over values: numbers and lists as they are, tensors as indices into the graph, modules as their attributes in
 * data.pkl. A call of an operator puts it into the graph; calls of methods and functions are inlined. Conditions that numbers and
 * shapes decide take that branch. */
#ifndef LOAD_TORCHSCRIPT_H
#define LOAD_TORCHSCRIPT_H

#include "load/aten.h"
#include "load/torch_internal.h"
#include "wire/script.h"

enum { TS_DEPTH = 600, TS_STEPS = 1 << 21, TS_UNROLL = 4096 };

typedef struct ts_source {
    script_list body;
    pg_code code; /* PG_E_NOT_FOUND: there is no such file */
    pg_error *error;
} ts_source;

/* Parsed files, by path. */
typedef struct ts_sources {
    torch_file *f;
    map index;
    ts_source *list;
    uint32_t n, cap;
} ts_sources;

typedef struct ts_object {
    str class_name, path;
    const script_node *type; /* the class; NULL: its source isn't there */
    const pickle_value *state;
    map names;
    aten_value *values;
    uint32_t n, cap;
} ts_object;

typedef struct ts_frame {
    map names;
    aten_value *values;
    uint32_t n, cap;
    aten_value result;
} ts_frame;

typedef struct ts {
    torch_file *f;
    ts_sources *sources;
    aten x;
    const pickle_value *constants;
    map objects; /* by the place of their pickle value */
    map tensors; /* by storage and view */
    ts_object **object_list;
    uint32_t n_objects, cap_objects;
    uint32_t depth, steps;
    int attempt;   /* which of the sizes free dims have */
    bool one_each; /* the input that is made is an element of a list: one sample, without a batch */
    map notes;
    const script_node *at; /* the statement that runs, for messages */
} ts;

/* ---- torchscript_object.c ---- */
const script_node *ts_find(ts *t, str qualified); /* the class or function "__torch__.a.b.C"; NULL: not there */
const script_node *ts_member(const script_node *type, str name, script_kind kind);
aten_value ts_value(ts *t, const pickle_value *v, str path, int depth);
ts_object *ts_new_object(ts *t, str class_name, str path);
bool ts_get(ts *t, ts_object *o, str name, aten_value *out);
void ts_set(ts *t, ts_object *o, str name, aten_value v);

/* ---- torchscript_run.c ---- */
/* One level deeper, of which the caller takes t->depth back; false: it stops here, and the error is set. */
bool ts_enter(ts *t);
aten_value ts_expression(ts *t, ts_frame *f, const script_node *n);
aten_value ts_call(ts *t, const script_node *def, const ts_object *self, const aten_args *args);
aten_value ts_method(ts *t, ts_object *o, str name, const aten_args *args);
pg_code ts_fail(ts *t, pg_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool ts_note(ts *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- torchscript_call.c ---- */
aten_value ts_call_node(ts *t, ts_frame *f, const script_node *n, uint32_t want);
aten_value ts_attribute(ts *t, ts_frame *f, const script_node *n);
/* "torch.nn.relu" of names joined by dots; false: something else, or a variable in front. */
bool ts_chain(ts *t, const ts_frame *f, const script_node *n, char *out, size_t cap, size_t *len);
aten_value *ts_variable(const ts_frame *f, str name);
int ts_truth(ts *t, aten_value v); /* 1, 0, or -1: not known */

#endif
