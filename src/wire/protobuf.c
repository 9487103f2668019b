#include "wire/protobuf.h"

#include <pb_decode.h>

static int fail(pg_error *e, const span *at, const char *what)
{
    error_at(e, PG_E_TRUNCATED, at->base, "%s at byte %llu; the file is cut off or not a protobuf file: fetch or export it again",
             what, (unsigned long long)at->base);
    return -1;
}

/* Moves *rest to where nanopb's stream stands. */
static void advance(span *rest, const pb_istream_t *s)
{
    size_t taken = rest->len - s->bytes_left;
    rest->ptr += taken;
    rest->len = s->bytes_left;
    rest->base += taken;
}

int protobuf_next(span *rest, protobuf_field *f, pg_error *e)
{
    if (!rest->len) return 0;
    pb_istream_t s = pb_istream_from_buffer(rest->ptr, rest->len);
    pb_wire_type_t type;
    bool eof;
    if (!pb_decode_tag(&s, &type, &f->number, &eof)) return fail(e, rest, "bad field tag");
    if (!f->number) return fail(e, rest, "field number 0");
    f->type = (uint32_t)type;
    f->value = 0;
    f->bytes = (span){NULL, 0, 0};
    uint32_t four;
    switch ((int)type) {
    case PROTOBUF_VARINT:
        if (!pb_decode_varint(&s, &f->value)) return fail(e, rest, "bad varint");
        break;
    case PROTOBUF_FIXED64:
        if (!pb_decode_fixed64(&s, &f->value)) return fail(e, rest, "cut-off 8-byte field");
        break;
    case PROTOBUF_FIXED32:
        if (!pb_decode_fixed32(&s, &four)) return fail(e, rest, "cut-off 4-byte field");
        f->value = four;
        break;
    case PROTOBUF_BYTES: {
        uint64_t len;
        if (!pb_decode_varint(&s, &len)) return fail(e, rest, "bad length");
        if (len > s.bytes_left) return fail(e, rest, "a field claims more bytes than there are");
        advance(rest, &s);
        f->bytes = (span){rest->ptr, (size_t)len, rest->base};
        rest->ptr += len;
        rest->len -= (size_t)len;
        rest->base += len;
        return 1;
    }
    default: return fail(e, rest, "unknown wire type");
    }
    advance(rest, &s);
    return 1;
}

int protobuf_next_varint(span *rest, uint64_t *value, pg_error *e)
{
    if (!rest->len) return 0;
    pb_istream_t s = pb_istream_from_buffer(rest->ptr, rest->len);
    if (!pb_decode_varint(&s, value)) return fail(e, rest, "bad varint");
    advance(rest, &s);
    return 1;
}

float protobuf_float(const protobuf_field *f)
{
    uint32_t bits = (uint32_t)f->value;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
