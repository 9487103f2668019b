/* Small TensorFlow files made in a test, field by field. The field numbers are explained in src/load/tf_format.c and tf_read.c.
 * Lists of names and of dims are given as one text: "x w", "? 224 224 3" ("?": free; NULL: of unknown rank). */
#ifndef FUZZ_TF_PROTO_H
#define FUZZ_TF_PROTO_H

#include "fuzz/proto.h"

enum { TF_FLOAT = 1, TF_INT32 = 3, TF_STRING = 7, TF_INT64 = 9, TF_BOOL = 10, TF_RESOURCE = 20, TF_VARIANT = 21 };

/* ---- attributes: into a list that tf_node takes ---- */

static inline void tf_attr_value(proto *attrs, const char *name, proto *value)
{
    proto entry = {NULL, 0, 0};
    proto_text(&entry, 1, name);
    proto_message(&entry, 2, value);
    proto_message(attrs, 5, &entry);
}

static inline void tf_attr_int(proto *attrs, const char *name, int64_t v)
{
    proto value = {NULL, 0, 0};
    proto_int(&value, 3, v);
    tf_attr_value(attrs, name, &value);
}

static inline void tf_attr_float(proto *attrs, const char *name, float v)
{
    proto value = {NULL, 0, 0};
    proto_float(&value, 4, v);
    tf_attr_value(attrs, name, &value);
}

static inline void tf_attr_bool(proto *attrs, const char *name, int v)
{
    proto value = {NULL, 0, 0};
    proto_int(&value, 5, v);
    tf_attr_value(attrs, name, &value);
}

static inline void tf_attr_type(proto *attrs, const char *name, int type)
{
    proto value = {NULL, 0, 0};
    proto_int(&value, 6, type);
    tf_attr_value(attrs, name, &value);
}

static inline void tf_attr_text(proto *attrs, const char *name, const char *text)
{
    proto value = {NULL, 0, 0};
    proto_text(&value, 2, text);
    tf_attr_value(attrs, name, &value);
}

static inline void tf_attr_function(proto *attrs, const char *name, const char *function)
{
    proto value = {NULL, 0, 0}, f = {NULL, 0, 0};
    proto_text(&f, 1, function);
    proto_message(&value, 10, &f);
    tf_attr_value(attrs, name, &value);
}

static inline void tf_attr_ints(proto *attrs, const char *name, const char *numbers)
{
    proto value = {NULL, 0, 0}, list = {NULL, 0, 0};
    char word[64];
    while (proto_word(&numbers, word, sizeof word)) proto_int(&list, 3, strtoll(word, NULL, 10));
    proto_message(&value, 1, &list);
    tf_attr_value(attrs, name, &value);
}

static inline proto tf_shape(const char *dims)
{
    proto shape = {NULL, 0, 0};
    char word[64];
    if (!dims) proto_int(&shape, 3, 1);
    while (dims && proto_word(&dims, word, sizeof word)) {
        proto dim = {NULL, 0, 0};
        proto_int(&dim, 1, word[0] == '?' ? -1 : strtoll(word, NULL, 10));
        proto_message(&shape, 2, &dim);
    }
    return shape;
}

static inline void tf_attr_shape(proto *attrs, const char *name, const char *dims)
{
    proto value = {NULL, 0, 0}, shape = tf_shape(dims);
    proto_message(&value, 7, &shape);
    tf_attr_value(attrs, name, &value);
}

/* ---- nodes ---- */

/* `attrs` may be NULL and is freed. Field: 1 in a graph, 3 in a function. */
static inline void tf_node_in(proto *to, unsigned field, const char *op, const char *name, const char *inputs,
                              proto *attrs)
{
    proto n = {NULL, 0, 0};
    char word[256];
    proto_text(&n, 1, name);
    proto_text(&n, 2, op);
    while (proto_word(&inputs, word, sizeof word)) proto_text(&n, 3, word);
    if (attrs) proto_put(&n, attrs->ptr, attrs->len);
    if (attrs) proto_free(attrs);
    proto_message(to, field, &n);
}

static inline void tf_node(proto *graph, const char *op, const char *name, const char *inputs, proto *attrs)
{
    tf_node_in(graph, 1, op, name, inputs, attrs);
}

static inline void tf_placeholder(proto *graph, const char *name, int type, const char *dims)
{
    proto attrs = {NULL, 0, 0};
    tf_attr_type(&attrs, "dtype", type);
    tf_attr_shape(&attrs, "shape", dims);
    tf_node(graph, "Placeholder", name, "", &attrs);
}

/* A variable; op "VarHandleOp" or "VariableV2". */
static inline void tf_variable(proto *graph, const char *op, const char *name, const char *dims)
{
    proto attrs = {NULL, 0, 0};
    tf_attr_type(&attrs, "dtype", TF_FLOAT);
    tf_attr_shape(&attrs, "shape", dims);
    tf_node(graph, op, name, "", &attrs);
}

/* A constant of zeros, or of the integers in `values`. */
static inline void tf_const_in(proto *to, unsigned field, const char *name, int type, const char *dims,
                               const char *values)
{
    proto attrs = {NULL, 0, 0}, value = {NULL, 0, 0}, tensor = {NULL, 0, 0}, shape = tf_shape(dims);
    char word[64];
    proto_int(&tensor, 1, type);
    proto_message(&tensor, 2, &shape);
    while (values && proto_word(&values, word, sizeof word)) {
        if (type == TF_FLOAT) proto_float(&tensor, 5, strtof(word, NULL));
        else proto_int(&tensor, type == TF_BOOL ? 11 : type == TF_INT64 ? 10 : 7, strtoll(word, NULL, 10));
    }
    proto_message(&value, 8, &tensor);
    tf_attr_type(&attrs, "dtype", type);
    tf_attr_value(&attrs, "value", &value);
    tf_node_in(to, field, "Const", name, "", &attrs);
}

static inline void tf_weight(proto *graph, const char *name, const char *dims)
{
    tf_const_in(graph, 1, name, TF_FLOAT, dims, NULL);
}

static inline void tf_ints(proto *graph, const char *name, const char *dims, const char *values)
{
    tf_const_in(graph, 1, name, TF_INT32, dims, values);
}

/* ---- functions ---- */

/* The body (nodes of field 3) is freed. Results: "out=node:output:0 other=..." */
static inline void tf_function(proto *library, const char *name, const char *args, const char *results, proto *body)
{
    proto f = {NULL, 0, 0}, signature = {NULL, 0, 0};
    char word[256];
    const char *list = results;
    proto_text(&signature, 1, name);
    while (proto_word(&args, word, sizeof word)) {
        proto arg = {NULL, 0, 0};
        proto_text(&arg, 1, word);
        proto_int(&arg, 3, TF_FLOAT);
        proto_message(&signature, 2, &arg);
    }
    while (proto_word(&list, word, sizeof word)) {
        proto arg = {NULL, 0, 0};
        char *equals = strchr(word, '=');
        proto_bytes(&arg, 1, word, equals ? (size_t)(equals - word) : strlen(word));
        proto_int(&arg, 3, TF_FLOAT);
        proto_message(&signature, 3, &arg);
    }
    proto_message(&f, 1, &signature);
    proto_put(&f, body->ptr, body->len);
    proto_free(body);
    while (proto_word(&results, word, sizeof word)) {
        proto entry = {NULL, 0, 0};
        char *equals = strchr(word, '=');
        if (!equals) continue;
        proto_bytes(&entry, 1, word, (size_t)(equals - word));
        proto_text(&entry, 2, equals + 1);
        proto_message(&f, 4, &entry);
    }
    proto_message(library, 1, &f);
}

/* ---- whole files ---- */

/* A SignatureDef's input (field 1) or output (field 2). */
static inline void tf_signature_entry(proto *signature, unsigned field, const char *key, const char *tensor, int type,
                                      const char *dims)
{
    proto entry = {NULL, 0, 0}, info = {NULL, 0, 0}, shape = tf_shape(dims);
    proto_text(&info, 1, tensor);
    proto_int(&info, 2, type);
    proto_message(&info, 3, &shape);
    proto_text(&entry, 1, key);
    proto_message(&entry, 2, &info);
    proto_message(signature, field, &entry);
}

/* Adds a signature, which is freed, to a list of them. */
static inline void tf_signature(proto *signatures, const char *name, proto *signature)
{
    proto entry = {NULL, 0, 0};
    proto_text(&entry, 1, name);
    proto_message(&entry, 2, signature);
    proto_message(signatures, 5, &entry);
}

/* Of a graph and its signatures (may be NULL), both of which are freed. */
static inline proto tf_meta_graph(proto *graph, proto *signatures)
{
    proto meta = {NULL, 0, 0}, info = {NULL, 0, 0};
    proto_text(&info, 4, "serve");
    proto_text(&info, 5, "2.15.0");
    proto_message(&meta, 1, &info);
    proto_message(&meta, 2, graph);
    if (signatures) proto_put(&meta, signatures->ptr, signatures->len);
    if (signatures) proto_free(signatures);
    return meta;
}

static inline proto tf_saved_model(proto *graph, proto *signatures)
{
    proto saved = {NULL, 0, 0}, meta = tf_meta_graph(graph, signatures);
    proto_int(&saved, 1, 1);
    proto_message(&saved, 2, &meta);
    return saved;
}

#endif
