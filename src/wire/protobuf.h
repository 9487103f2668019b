/* Protocol buffers, as far as a metadata reader needs them.
 *
 * 1. A message is a sequence of fields until its bytes end; there is no header, no length and no magic.
 * 2. A field starts with a varint: (field number << 3) | wire type.
 * 3. Wire type 0: a varint (7 bits a byte, low first, the high bit says that more follow, at most 10 bytes).
 *    1: eight bytes, little endian. 2: a varint length, then as many bytes (text, a nested message, or packed numbers).
 *    5: four bytes. 3 and 4 (groups) are obsolete and refused.
 * 4. Fields may come in any order; a repeated field comes once per element or packed; of a repeated scalar the last counts.
 *
 * The decoding of tags and numbers is nanopb's; this adds spans, so that nested messages and blobs are described, not read. */
#ifndef WIRE_PROTOBUF_H
#define WIRE_PROTOBUF_H

#include "wire/span.h"

enum { PROTOBUF_VARINT = 0, PROTOBUF_FIXED64 = 1, PROTOBUF_BYTES = 2, PROTOBUF_FIXED32 = 5 };

typedef struct protobuf_field {
    uint32_t number;
    uint32_t type;
    uint64_t value; /* varint and fixed */
    span bytes;     /* PROTOBUF_BYTES */
} protobuf_field;

/* Takes the next field off the front of *rest. 1: a field; 0: the message has ended; -1: not valid, *e says where. */
int protobuf_next(span *rest, protobuf_field *f, pg_error *e);

/* Takes the next number of a packed list of varints. 1, 0, -1 as above. */
int protobuf_next_varint(span *rest, uint64_t *value, pg_error *e);

static inline int64_t protobuf_int(const protobuf_field *f)
{
    return (int64_t)f->value;
}
float protobuf_float(const protobuf_field *f);
/* The text of a bytes field; empty when the field is of another type. */
static inline str protobuf_str(const protobuf_field *f)
{
    return f->type == PROTOBUF_BYTES ? span_str(f->bytes) : (str){NULL, 0};
}

#endif
