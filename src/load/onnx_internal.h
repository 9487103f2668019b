/* Shared by onnx.c (model, functions, control), onnx_node.c (nodes and attributes) and onnx_tensor.c (tensors and types). */
#ifndef LOAD_ONNX_INTERNAL_H
#define LOAD_ONNX_INTERNAL_H

#include "base/map.h"
#include "load/load.h"
#include "wire/protobuf.h"

typedef struct onnx_opset {
    str domain;
    uint16_t version;
} onnx_opset;

typedef struct onnx_function {
    str domain, name, overload;
    span body;
    uint16_t opset; /* of the standard operators in it; 0: the model's */
} onnx_function;

/* Names of one graph or function body; inner graphs see the names of the graphs around them, functions don't. */
typedef struct onnx_scope {
    map names; /* to tensor index */
    struct onnx_scope *parent;
} onnx_scope;

/* The call of a local function that is being inlined: where its nodes' ref_attr_name look. */
typedef struct onnx_call {
    span node, function;
    const struct onnx_call *caller;
    str prefix;
    uint16_t opset;
} onnx_call;

enum { MAX_OPSETS = 32 };
/* Linux maps the 64 KiB around a page that is touched as well, so the headers between large blobs of weights would keep much
 * more resident than they are. Their pages are let go of again, and what is needed of them later is copied: their names. */
enum { ONNX_BLOB = 1 << 16, ONNX_BLOBS_KEPT = 16 };

/* An AttributeProto. */
typedef struct onnx_attr {
    str name, s, ref;
    int64_t type, i;
    float f;
    span tensor, sparse, graph, body;
    bool has_i, has_f, has_s;
} onnx_attr;

typedef struct onnx_stack {
    void *v;
    uint32_t n, cap;
} onnx_stack;

/* Where external_data says that a tensor's bytes are. */
typedef struct onnx_elsewhere {
    str location;
    uint64_t offset, length;
    bool has_length;
} onnx_elsewhere;

/* A file that external_data names. */
enum { ONNX_FILE_MISSING, ONNX_FILE_THERE, ONNX_FILE_CUT, ONNX_FILE_OUTSIDE, ONNX_FILE_UNSEEN, ONNX_FILE_POINTER };
typedef struct onnx_external_file {
    str name, behind; /* behind: a tensor that the file ends before */
    uint64_t size;
    int state;
    uint32_t lost; /* small constants that could not be read */
} onnx_external_file;

typedef struct onnx_reader {
    graph *g;
    const load_input *in;
    const load_options *opt;
    pg_error *e;
    map functions; /* "domain:name:overload" to index */
    onnx_function *function_list;
    uint32_t n_functions, cap_functions;
    onnx_opset opsets[MAX_OPSETS];
    uint32_t n_opsets;
    uint32_t depth, max_depth;
    uint64_t work,
        max_work;   /* nodes read, inlined ones again: bounds what functions that call functions can blow up to */
    map unknown;    /* unknown operator names, for one warning each */
    map kinds;      /* operator name to op_kind; OP_Unknown: none */
    uint32_t blobs; /* large initializers so far */
    map external;   /* a location to its place in external_files */
    onnx_external_file *external_files;
    uint32_t n_external, cap_external;
    /* What the nodes that are being read hold, those of a node's bodies above its own: of uint32_t, str, onnx_attr. */
    onnx_stack operands, out_names, attrs;
} onnx_reader;

pg_code onnx_nomem(onnx_reader *r);
/* The tensor of a name: found in this scope or around it, else made in this scope. NO_TENSOR: out of memory. */
uint32_t onnx_tensor_of(onnx_reader *r, onnx_scope *s, str name);
/* A new tensor for a name that this graph defines; a name that is defined already is an error. */
uint32_t onnx_define(onnx_reader *r, onnx_scope *s, str name);

/* GraphProto into a region; `declare_inputs`: the region's inputs become its own tensors. */
pg_code onnx_read_graph(onnx_reader *r, span graph_proto, uint32_t region_index, onnx_scope *scope,
                        const onnx_call *call);
/* NodeProto. */
pg_code onnx_read_node(onnx_reader *r, span node, uint32_t region_index, onnx_scope *scope, const onnx_call *call);
const onnx_function *onnx_find_function(const onnx_reader *r, str domain, str name, str overload);
pg_code onnx_inline(onnx_reader *r, const onnx_function *f, span node, uint32_t region_index, onnx_scope *scope,
                    const onnx_call *call);
uint16_t onnx_opset_of(const onnx_reader *r, str domain);

/* TensorProto or SparseTensorProto onto tensor t: dtype, dims, size, small contents. */
pg_code onnx_read_tensor(onnx_reader *r, span proto, uint32_t t);
/* TensorProto of a graph's initializers, which is defined under its own name. */
pg_code onnx_read_initializer(onnx_reader *r, span proto, onnx_scope *scope);
pg_code onnx_read_sparse(onnx_reader *r, span proto, uint32_t t);
str onnx_tensor_name(span proto, uint32_t name_field);
/* A StringStringEntryProto of external_data. */
pg_code onnx_read_external(onnx_reader *r, span entry, onnx_elsewhere *out);
/* Holds the place against the tensor and the file; `wanted`: gives the bytes, where they can be read. */
pg_code onnx_find_external(onnx_reader *r, uint64_t at, const onnx_elsewhere *where, const tensor *t, bool wanted,
                           span *out);
/* A line about files that are missing, cut off or out of reach. False: out of memory. */
bool onnx_warn_external(onnx_reader *r);
/* TypeProto onto tensor t; `input`: unnamed dims get symbols. */
pg_code onnx_read_type(onnx_reader *r, span proto, uint32_t t, bool input);

/* Tells the planner of biases that a folded batch normalisation hides. */
void onnx_mark_folded_biases(graph *g);
/* Puts lookups of relative positions back that the exporter made constants of. False: out of memory. */
bool onnx_unfold_positions(graph *g);

/* Loops over the bags of nn.EmbeddingBag to one lookup and one reduction. False: out of memory. */
bool onnx_put_bags_together(graph *g);

/* Sequences of tensors to the tensors themselves; the operators are in order. */
pg_code onnx_resolve_sequences(graph *g, pg_error *e);

/* Takes up to `max` list elements of a repeated field; see onnx_tensor.c. */
typedef struct onnx_ints {
    int64_t *v;
    uint32_t n, cap;
} onnx_ints;
pg_code onnx_take_ints(onnx_reader *r, onnx_ints *list, const protobuf_field *f, uint32_t max);

#endif
