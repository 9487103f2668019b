/* The reader of protobuf fields against nanopb alone, field by field: it takes shortcuts for short numbers. Bytes fields are
 * looked into as messages, so that places in the file are right in nested ones too. */
#include "wire/protobuf.h"
#include "support/check.h"

#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH = 8 };

/* What protobuf_next must say of the first field of the bytes; *taken: what it must take off them. */
static int expected(const uint8_t *p, size_t n, protobuf_field *f, size_t *taken)
{
    pb_istream_t s = pb_istream_from_buffer(p, n);
    pb_wire_type_t type;
    bool eof;
    uint32_t four = 0;
    *f = (protobuf_field){0};
    if (!n) return 0;
    if (!pb_decode_tag(&s, &type, &f->number, &eof) || !f->number) return -1;
    f->type = (uint32_t)type;
    switch ((int)type) {
    case PROTOBUF_VARINT:
    case PROTOBUF_BYTES:
        if (!pb_decode_varint(&s, &f->value)) return -1;
        break;
    case PROTOBUF_FIXED64:
        if (!pb_decode_fixed64(&s, &f->value)) return -1;
        break;
    case PROTOBUF_FIXED32:
        if (!pb_decode_fixed32(&s, &four)) return -1;
        f->value = four;
        break;
    default: return -1;
    }
    *taken = n - s.bytes_left;
    if (f->type != PROTOBUF_BYTES) return 1;
    if (f->value > s.bytes_left) return -1;
    f->bytes = (span){p + *taken, (size_t)f->value, 0};
    f->value = 0;
    *taken += f->bytes.len;
    return 1;
}

static void read_message(span message, const uint8_t *file, unsigned depth)
{
    pg_error e = PG_ERROR_INIT;
    for (;;) {
        protobuf_field want, got = {0};
        size_t taken = 0;
        span before = message;
        int expect = expected(message.ptr, message.len, &want, &taken);
        check(protobuf_next(&message, &got, &e) == expect, "the same fields are taken");
        check((expect < 0) == (e.code != PG_E_OK), "an error is told, and only an error");
        if (expect != 1) return;
        check(got.number == want.number && got.type == want.type && got.value == want.value, "the field is the same");
        check(before.len - message.len == taken && message.ptr == before.ptr + taken, "as many bytes are taken");
        check(message.base == (uint64_t)(message.ptr - file), "the place in the file is right");
        if (got.type != PROTOBUF_BYTES) continue;
        check(got.bytes.ptr == want.bytes.ptr && got.bytes.len == want.bytes.len, "the bytes are the same");
        check(got.bytes.base == (uint64_t)(got.bytes.ptr - file), "the bytes' place in the file is right");
        if (depth < DEPTH) read_message(got.bytes, file, depth + 1);
    }
}

static void read_packed(span list)
{
    pg_error e = PG_ERROR_INIT;
    pb_istream_t s = pb_istream_from_buffer(list.ptr, list.len);
    for (;;) {
        uint64_t got = 0, want = 0;
        int result = protobuf_next_varint(&list, &got, &e);
        if (!s.bytes_left) {
            check(result == 0, "the list ends with its bytes");
            return;
        }
        bool ok = pb_decode_varint(&s, &want);
        check(result == (ok ? 1 : -1), "the same numbers are taken");
        if (!ok) return;
        check(got == want && list.len == s.bytes_left, "the number is the same");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_message((span){data, size, 0}, data, 0);
    read_packed((span){data, size, 0});
    return 0;
}
