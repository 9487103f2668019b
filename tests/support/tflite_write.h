/* Builds FlatBuffers and TensorFlow Lite files byte by byte, whole ones and broken ones, without using what reads them. */
#ifndef SUPPORT_TFLITE_WRITE_H
#define SUPPORT_TFLITE_WRITE_H

#include <stddef.h>
#include <stdint.h>

/* ---- FlatBuffers: parents first, so that a place may be patched until the end ---- */

typedef struct fb {
    uint8_t *ptr;
    size_t len, cap;
} fb;

void fb_begin(fb *b, const char *identifier); /* four letters; the root comes next, with fb_root */
void fb_root(fb *b, size_t table);
size_t fb_table(fb *b, unsigned fields); /* a table with room for 8 bytes a field, all still left out */
void fb_number(fb *b, size_t table, unsigned field, int64_t value, unsigned width);
void fb_float(fb *b, size_t table, unsigned field, float value);
void fb_child(fb *b, size_t table, unsigned field, size_t child);
size_t fb_vector(fb *b, size_t n, unsigned width); /* zeros */
void fb_element(fb *b, size_t vector, size_t i, unsigned width, int64_t value);
void fb_element_child(fb *b, size_t vector, size_t i, size_t child);
size_t fb_string(fb *b, const char *text);
void fb_patch(fb *b, size_t at, int64_t value, unsigned width);
void fb_free(fb *b);

/* ---- TensorFlow Lite ---- */

enum {
    TW_FLOAT32 = 0,
    TW_FLOAT16 = 1,
    TW_INT32 = 2,
    TW_UINT8 = 3,
    TW_INT64 = 4,
    TW_BOOL = 6,
    TW_INT8 = 9,
    TW_INT4 = 17
};
enum { TW_MOST = 64, TW_DIMS = 8, TW_GRAPHS = 4, TW_OPTIONS = 16 };

typedef struct tw_tensor {
    const char *name;
    int type, rank, scales;
    int32_t dims[TW_DIMS];
    int32_t *data; /* contents, of 4 bytes each; NULL: zeros */
    size_t bytes;  /* of a constant */
    int open;      /* axes that are free, as a mask */
    int variable, sparse;
    int outside; /* the contents lie behind the FlatBuffer, as in large models */
} tw_tensor;

typedef struct tw_option {
    unsigned field;
    char kind; /* b(yte), i(nt), l(ong), f(loat), I(nts), L(ongs) */
    double value;
    int64_t list[TW_DIMS];
    unsigned n;
} tw_option;

typedef struct tw_op {
    int number;
    const char *custom;
    const unsigned char *raw; /* custom_options */
    size_t raw_size;
    int in[40], out[8];
    unsigned n_in, n_out, n_options;
    int second; /* the options are builtin_options_2 */
    tw_option options[TW_OPTIONS];
} tw_op;

typedef struct tw_graph {
    tw_tensor tensors[TW_MOST];
    tw_op ops[TW_MOST];
    int in[8], out[8];
    unsigned n_tensors, n_ops, n_in, n_out;
} tw_graph;

typedef struct tw {
    tw_graph graphs[TW_GRAPHS];
    unsigned n_graphs;
    const char *signature;
    const char *runtime;  /* min_runtime_version */
    struct fb *metadata;  /* TFLITE_METADATA; tw_finish frees it */
    unsigned metadata_at; /* another buffer's number in its place; 0: its own */
} tw;

tw *tw_new(void);
/* For metadata: a table of text fields (NULL: left out), in a list of one that is a field of its parent (0: it is the root). */
size_t tw_texts(fb *b, size_t parent, unsigned field, unsigned fields, const char *const *texts);
tw_graph *tw_add_graph(tw *w);
/* The tensors return their index. Dims end with 0. */
int tw_value(tw_graph *g, const char *name, int type, const int32_t *dims);
int tw_weight(tw_graph *g, const char *name, int type, const int32_t *dims);
int tw_ints(tw_graph *g, const char *name, unsigned n, const int32_t *values);
int tw_scalar(tw_graph *g, const char *name, int32_t value);
/* Operand lists end with TW_END; -1: left out. */
enum { TW_END = -2 };
tw_op *tw_add_op(tw_graph *g, int number, const int *in, const int *out);
void tw_set(tw_op *o, unsigned field, char kind, double value);
void tw_set_list(tw_op *o, unsigned field, char kind, unsigned n, const int64_t *list);
void tw_ends(tw_graph *g, const int *in, const int *out);
/* The file; frees w. fb_free the result. */
fb tw_finish(tw *w);

#define DIMS(...) ((const int32_t[]){__VA_ARGS__, 0})
#define LIST(...) ((const int[]){__VA_ARGS__, TW_END})

#endif
