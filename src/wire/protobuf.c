#include "wire/protobuf.h"

#include <pb_decode.h>

static int fail(pg_error *e, const span *at, const char *what)
{
    error_at(e, PG_E_TRUNCATED, at->base, "%s; the file is cut off or not a protobuf file: fetch or export it again",
             what);
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

static inline void skip(span *rest, size_t n)
{
    rest->ptr += n;
    rest->len -= n;
    rest->base += n;
}

/* nanopb takes a call per byte, and nearly all tags, lengths and numbers of a model's graph have one or two. */
static inline bool short_varint(span *rest, uint64_t *value)
{
    const uint8_t *p = rest->ptr;
    if (rest->len >= 1 && p[0] < 128) {
        *value = p[0];
        skip(rest, 1);
        return true;
    }
    if (rest->len < 2 || p[1] >= 128) return false;
    *value = (uint64_t)(p[0] & 127) | (uint64_t)p[1] << 7;
    skip(rest, 2);
    return true;
}

static inline bool take_varint(span *rest, uint64_t *value)
{
    if (short_varint(rest, value)) return true;
    pb_istream_t s = pb_istream_from_buffer(rest->ptr, rest->len);
    if (!pb_decode_varint(&s, value)) return false;
    advance(rest, &s);
    return true;
}

static inline bool take_tag(span *rest, protobuf_field *f)
{
    uint64_t tag;
    pb_wire_type_t type;
    bool eof;
    span before = *rest;
    if (short_varint(rest, &tag) && tag) {
        f->number = (uint32_t)(tag >> 3);
        f->type = (uint32_t)(tag & 7);
        return true;
    }
    *rest = before;
    pb_istream_t s = pb_istream_from_buffer(rest->ptr, rest->len);
    if (!pb_decode_tag(&s, &type, &f->number, &eof)) return false;
    f->type = (uint32_t)type;
    advance(rest, &s);
    return true;
}

static bool take_fixed(span *rest, protobuf_field *f)
{
    uint32_t four = 0;
    pb_istream_t s = pb_istream_from_buffer(rest->ptr, rest->len);
    bool ok = f->type == PROTOBUF_FIXED64 ? pb_decode_fixed64(&s, &f->value) : pb_decode_fixed32(&s, &four);
    if (ok && f->type == PROTOBUF_FIXED32) f->value = four;
    if (ok) advance(rest, &s);
    return ok;
}

int protobuf_next(span *rest, protobuf_field *f, pg_error *e)
{
    if (!rest->len) return 0;
    span at = *rest;
    if (!take_tag(rest, f)) return fail(e, &at, "bad field tag");
    if (!f->number) return fail(e, &at, "field number 0");
    f->value = 0;
    f->bytes = (span){NULL, 0, 0};
    switch ((int)f->type) {
    case PROTOBUF_BYTES: {
        uint64_t len;
        if (!take_varint(rest, &len)) return fail(e, &at, "bad length");
        if (len > rest->len) return fail(e, &at, "a field claims more bytes than there are");
        f->bytes = (span){rest->ptr, (size_t)len, rest->base};
        skip(rest, (size_t)len);
        return 1;
    }
    case PROTOBUF_VARINT: return take_varint(rest, &f->value) ? 1 : fail(e, &at, "bad varint");
    case PROTOBUF_FIXED64: return take_fixed(rest, f) ? 1 : fail(e, &at, "cut-off 8-byte field");
    case PROTOBUF_FIXED32: return take_fixed(rest, f) ? 1 : fail(e, &at, "cut-off 4-byte field");
    default: return fail(e, &at, "unknown wire type");
    }
}

int protobuf_next_varint(span *rest, uint64_t *value, pg_error *e)
{
    if (!rest->len) return 0;
    return take_varint(rest, value) ? 1 : fail(e, rest, "bad varint");
}

float protobuf_float(const protobuf_field *f)
{
    uint32_t bits = (uint32_t)f->value;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
