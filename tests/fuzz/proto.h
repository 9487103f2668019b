/* Small ONNX files made in a test, field by field, so that they can be wrong in any way that a test wants.
 * The field numbers are explained in src/load/onnx.c. Lists of names are given as one text: "x w _ b", where "_" leaves one out. */
#ifndef FUZZ_PROTO_H
#define FUZZ_PROTO_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10
};

typedef struct proto {
    unsigned char *ptr;
    size_t len, cap;
} proto;

static inline void proto_put(proto *b, const void *p, size_t n)
{
    if (b->len + n > b->cap) {
        b->cap = (b->len + n) * 2;
        b->ptr = realloc(b->ptr, b->cap);
        if (!b->ptr) abort();
    }
    if (n) memcpy(b->ptr + b->len, p, n);
    b->len += n;
}

static inline void proto_free(proto *b)
{
    free(b->ptr);
    *b = (proto){NULL, 0, 0};
}

static inline void proto_varint(proto *b, uint64_t v)
{
    do {
        unsigned char c = (unsigned char)((v & 127) | (v > 127 ? 128 : 0));
        proto_put(b, &c, 1);
        v >>= 7;
    } while (v);
}

static inline void proto_int(proto *b, unsigned field, int64_t v)
{
    proto_varint(b, (uint64_t)field << 3);
    proto_varint(b, (uint64_t)v);
}

static inline void proto_float(proto *b, unsigned field, float v)
{
    proto_varint(b, (uint64_t)field << 3 | 5);
    proto_put(b, &v, sizeof v);
}

static inline void proto_bytes(proto *b, unsigned field, const void *p, size_t n)
{
    proto_varint(b, (uint64_t)field << 3 | 2);
    proto_varint(b, n);
    proto_put(b, p, n);
}

static inline void proto_text(proto *b, unsigned field, const char *s)
{
    proto_bytes(b, field, s, strlen(s));
}

/* Appends a message and frees it. */
static inline void proto_message(proto *b, unsigned field, proto *m)
{
    proto_bytes(b, field, m->ptr, m->len);
    proto_free(m);
}

/* The words of a list, one a call; false at its end. */
static inline int proto_word(const char **list, char *out, size_t cap)
{
    size_t n = 0;
    while (**list == ' ' || **list == ',') ++*list;
    while (**list && **list != ' ' && **list != ',') {
        if (n + 1 < cap) out[n++] = **list;
        ++*list;
    }
    out[n] = 0;
    return n > 0;
}

/* ---- attributes: into a list that onnx_node takes ---- */

static inline void onnx_attr_int(proto *attrs, const char *name, int64_t v)
{
    proto a = {NULL, 0, 0};
    proto_text(&a, 1, name);
    proto_int(&a, 3, v);
    proto_int(&a, 20, 2);
    proto_message(attrs, 5, &a);
}

static inline void onnx_attr_ints(proto *attrs, const char *name, const char *values)
{
    proto a = {NULL, 0, 0};
    char word[64];
    proto_text(&a, 1, name);
    while (proto_word(&values, word, sizeof word)) proto_int(&a, 8, strtoll(word, NULL, 10));
    proto_int(&a, 20, 7);
    proto_message(attrs, 5, &a);
}

/* The body is freed. */
static inline void onnx_attr_graph(proto *attrs, const char *name, proto *body)
{
    proto a = {NULL, 0, 0};
    proto_text(&a, 1, name);
    proto_message(&a, 6, body);
    proto_int(&a, 20, 5);
    proto_message(attrs, 5, &a);
}

/* In a function: the value of one of its own attributes. */
static inline void onnx_attr_ref(proto *attrs, const char *name, const char *of, int type)
{
    proto a = {NULL, 0, 0};
    proto_text(&a, 1, name);
    proto_int(&a, 20, type);
    proto_text(&a, 21, of);
    proto_message(attrs, 5, &a);
}

/* ---- parts of a graph ---- */

static inline void onnx_names(proto *to, unsigned field, const char *names)
{
    char word[256];
    while (proto_word(&names, word, sizeof word)) proto_text(to, field, strcmp(word, "_") ? word : "");
}

/* A node, named after its first output; `attrs` may be NULL and is freed. op: "Relu" or "domain::Op". Field: 1 in a graph, 7 in
 * a function. */
static inline void onnx_node_in(proto *to, unsigned field, const char *op, const char *in, const char *out,
                                proto *attrs)
{
    proto n = {NULL, 0, 0};
    const char *colons = strstr(op, "::"), *first = out;
    char name[256];
    onnx_names(&n, 1, in);
    onnx_names(&n, 2, out);
    if (proto_word(&first, name, sizeof name)) proto_text(&n, 3, name);
    proto_text(&n, 4, colons ? colons + 2 : op);
    if (attrs) proto_put(&n, attrs->ptr, attrs->len);
    if (attrs) proto_free(attrs);
    if (colons) proto_bytes(&n, 7, op, (size_t)(colons - op));
    proto_message(to, field, &n);
}

static inline void onnx_node(proto *graph, const char *op, const char *in, const char *out, proto *attrs)
{
    onnx_node_in(graph, 1, op, in, out, attrs);
}

/* A ValueInfoProto: field 11 input, 12 output, 13 inner value. dims: "batch 3 224 ?", NULL: no shape. */
static inline void onnx_value(proto *graph, unsigned field, const char *name, int type, const char *dims)
{
    proto value = {NULL, 0, 0}, types = {NULL, 0, 0}, content = {NULL, 0, 0}, shape = {NULL, 0, 0}, dim = {NULL, 0, 0};
    char word[64];
    proto_text(&value, 1, name);
    proto_int(&content, 1, type);
    while (dims && proto_word(&dims, word, sizeof word)) {
        if (word[0] == '-' || (word[0] >= '0' && word[0] <= '9')) proto_int(&dim, 1, strtoll(word, NULL, 10));
        else if (word[0] != '?') proto_text(&dim, 2, word);
        proto_message(&shape, 1, &dim);
    }
    if (dims) proto_message(&content, 2, &shape);
    proto_message(&types, 1, &content);
    proto_message(&value, 2, &types);
    proto_message(graph, field, &value);
}

static inline void onnx_input(proto *graph, const char *name, const char *dims)
{
    onnx_value(graph, 11, name, ONNX_FLOAT, dims);
}

static inline void onnx_output(proto *graph, const char *name)
{
    onnx_value(graph, 12, name, ONNX_FLOAT, NULL);
}

/* The head of a TensorProto. */
static inline void onnx_tensor_head(proto *t, const char *name, int type, const char *dims)
{
    char word[64];
    while (proto_word(&dims, word, sizeof word)) proto_int(t, 1, strtoll(word, NULL, 10));
    proto_int(t, 2, type);
    if (name) proto_text(t, 8, name);
}

/* A weight whose data is in another file. */
static inline void onnx_weight(proto *graph, const char *name, int type, const char *dims)
{
    proto t = {NULL, 0, 0}, entry = {NULL, 0, 0};
    onnx_tensor_head(&t, name, type, dims);
    proto_text(&entry, 1, "location");
    proto_text(&entry, 2, "not_there.bin");
    proto_message(&t, 13, &entry);
    proto_int(&t, 14, 1);
    proto_message(graph, 5, &t);
}

/* A list of whole numbers as an initializer, or a single one where dims is "". */
static inline void onnx_ints(proto *graph, const char *name, const char *dims, const char *values)
{
    proto t = {NULL, 0, 0}, raw = {NULL, 0, 0};
    char word[64];
    onnx_tensor_head(&t, name, ONNX_INT64, dims);
    while (proto_word(&values, word, sizeof word)) {
        int64_t v = strtoll(word, NULL, 10);
        proto_put(&raw, &v, sizeof v);
    }
    proto_message(&t, 9, &raw);
    proto_message(graph, 5, &t);
}

/* ---- a whole file ---- */

static inline void onnx_opset(proto *model, const char *domain, int64_t version)
{
    proto o = {NULL, 0, 0};
    if (domain[0]) proto_text(&o, 1, domain);
    proto_int(&o, 2, version);
    proto_message(model, 8, &o);
}

/* IR version, opset and graph, which is freed. */
static inline proto onnx_model(proto *graph, int64_t opset)
{
    proto m = {NULL, 0, 0};
    proto_int(&m, 1, 8);
    onnx_opset(&m, "", opset);
    proto_message(&m, 7, graph);
    return m;
}

#endif
