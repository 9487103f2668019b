/* GGUF, versions 2 and 3, in either byte order:
 *
 * 1. "GGUF", the version (4 bytes), the number of tensors and of metadata entries (8 bytes each).
 * 2. Metadata, per entry: a key, its type (4 bytes), the value. A text is its length (8 bytes) and its bytes. Types: 0 u8, 1 i8, 2 u16,
 *    3 i16, 4 u32, 5 i32, 6 f32, 7 bool, 8 text, 9 array, 10 u64, 11 i64, 12 f64; an array is the type of its entries (4 bytes), their
 *    number (8), and they.
 * 3. Tensors, per tensor: its name, the number of dimensions (4 bytes), they (8 bytes each, the innermost first), its type (4), and the
 *    offset of its data (8).
 * 4. The data: from the next multiple of general.alignment (32) on, to which the offsets are relative; each begins at such a multiple.
 *
 * Version 1 had lengths of 4 bytes; llama.cpp reads it no more, and neither do we. A byte order other than little-endian shows in the
 * version. */
#ifndef WIRE_GGUF_H
#define WIRE_GGUF_H

#include "wire/span.h"

enum { GGUF_RANK = 4 };

typedef enum gguf_kind {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_TEXT,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_KINDS
} gguf_kind;

/* How the numbers of a tensor are packed: `block` of them in `bytes`. */
typedef struct gguf_type {
    uint32_t number;
    const char *name; /* "Q4_K" */
    uint32_t block, bytes;
} gguf_type;

typedef struct gguf_value {
    str key;
    uint8_t kind;    /* gguf_kind */
    uint8_t element; /* of an array */
    uint64_t count;  /* entries of an array */
    span bytes;      /* of the value, lengths and all; of a text: its bytes */
} gguf_value;

typedef struct gguf_tensor {
    str name;
    const gguf_type *type;
    int rank;
    int64_t dims[GGUF_RANK]; /* innermost first; 1 beyond the rank */
    double elements;
    uint64_t offset, bytes; /* of the data in the file */
} gguf_tensor;

typedef struct gguf {
    uint32_t version;
    bool big_endian;
    gguf_value *values;
    size_t n_values;
    gguf_tensor *tensors;
    size_t n_tensors;
} gguf;

bool gguf_is(span file);
/* Reads metadata and tensors; the data are checked to be in the file and not looked at. Arrays are the arena's. */
pg_code gguf_read(gguf *g, span file, arena *a, pg_error *e);

const gguf_value *gguf_find(const gguf *g, str key); /* NULL: not there */
/* A number (also a bool) or entry i of an array of numbers; false where it is none. */
bool gguf_number(const gguf *g, const gguf_value *v, uint64_t i, double *out);
/* "q4_k_m" of general.file_type; NULL: unknown. */
const char *gguf_file_type(uint32_t number);

#endif
