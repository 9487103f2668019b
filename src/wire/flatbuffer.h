/* FlatBuffers, as far as a reader of one schema needs them.
 *
 * 1. A file begins with the offset of its root table (4 bytes, little endian, counted from the file's begin); a file identifier of
 *    4 bytes may follow.
 * 2. A table begins with a signed 4-byte distance back to its vtable, which any number of tables may share. The table's scalars
 *    and offsets follow in it, at places that the vtable gives.
 * 3. A vtable: 2 bytes with its own size, 2 bytes with the table's, then 2 bytes for each field: where the field begins in the
 *    table. 0, or a vtable that ends before: the field has its default.
 * 4. A field that is a table, a vector or a string is an unsigned 4-byte distance forward from the field itself. A union is two
 *    fields: a byte that says which, and the offset of that table.
 * 5. A vector: 4 bytes with the number of elements, then these: scalars, or offsets as in 4. A string is a vector of bytes.
 * 6. Nothing is larger than 2 GiB, so offsets have 4 bytes; what lies behind the buffer is not its business.
 *
 * Nothing is read before it was held against the file. Offsets may overlap and vtables be shared, so that a small file can describe
 * a large tree: who walks it counts what he visits. The first error stays in *e, and all reads after it give the default, so that a
 * walk needs to look only where it would do harm. */
#ifndef WIRE_FLATBUFFER_H
#define WIRE_FLATBUFFER_H

#include "wire/span.h"

typedef struct flatbuffer {
    span file;
    pg_error *e;
} flatbuffer;

/* NULL owner: not there; all its fields have their defaults. */
typedef struct flatbuffer_table {
    const flatbuffer *owner;
    uint64_t at, vtable; /* in the file */
    uint32_t size, vtable_size;
} flatbuffer_table;

typedef struct flatbuffer_vector {
    const flatbuffer *owner;
    uint64_t at; /* of element 0 */
    uint32_t n;
} flatbuffer_vector;

/* Whether the file begins as one with this identifier of four letters does. */
bool flatbuffer_is(span file, const char *identifier);
flatbuffer_table flatbuffer_root(const flatbuffer *f);

/* Field `id`, counted from 0 as in the schema (a union takes two). */
bool flatbuffer_has(const flatbuffer_table *t, unsigned id);
int64_t flatbuffer_i8(const flatbuffer_table *t, unsigned id, int64_t fallback);
int64_t flatbuffer_u8(const flatbuffer_table *t, unsigned id, int64_t fallback);
int64_t flatbuffer_i32(const flatbuffer_table *t, unsigned id, int64_t fallback);
int64_t flatbuffer_u32(const flatbuffer_table *t, unsigned id, int64_t fallback);
int64_t flatbuffer_i64(const flatbuffer_table *t, unsigned id, int64_t fallback);
double flatbuffer_f32(const flatbuffer_table *t, unsigned id, double fallback);
flatbuffer_table flatbuffer_child(const flatbuffer_table *t, unsigned id);
str flatbuffer_text(const flatbuffer_table *t, unsigned id);
/* `width`: bytes of an element; 4 for offsets. */
flatbuffer_vector flatbuffer_list(const flatbuffer_table *t, unsigned id, unsigned width);
/* A vector of bytes as a view. */
span flatbuffer_bytes(const flatbuffer_table *t, unsigned id);

/* Element i, which must be below n. */
int32_t flatbuffer_list_i32(const flatbuffer_vector *v, uint32_t i);
int64_t flatbuffer_list_i64(const flatbuffer_vector *v, uint32_t i);
flatbuffer_table flatbuffer_list_table(const flatbuffer_vector *v, uint32_t i);

#endif
