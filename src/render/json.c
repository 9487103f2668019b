/* Structs as members of JSON objects. */
#include "render/fields.h"

double field_number(const field *f, const void *object, bool mute)
{
    const char *at = (const char *)object + f->offset;
    double real = -1;
    int64_t whole = 0;
    if (f->speed && mute) return (double)NAN;
    switch (f->kind) {
    case FIELD_NUMBER:
    case FIELD_POSITIVE:
    case FIELD_BYTES:
        memcpy(&real, at, sizeof real);
        if (!isfinite(real) || real < 0 || (f->kind == FIELD_POSITIVE && real == 0)) return (double)NAN;
        return f->kind == FIELD_BYTES ? floor(real + 0.5) : real;
    case FIELD_INT:
    case FIELD_COUNT: {
        int value;
        memcpy(&value, at, sizeof value);
        return f->kind == FIELD_COUNT && value <= 0 ? (double)NAN : value;
    }
    case FIELD_INT64:
    case FIELD_UINT64: memcpy(&whole, at, sizeof whole); return (double)whole;
    case FIELD_BOOL: {
        bool value;
        memcpy(&value, at, sizeof value);
        return value;
    }
    case FIELD_TEXT:
    case FIELD_NULL: break;
    }
    return (double)NAN;
}

const char *field_text(const field *f, const void *object)
{
    const char *text = NULL;
    if (f->kind == FIELD_TEXT) memcpy(&text, (const char *)object + f->offset, sizeof text);
    return text && text[0] ? text : NULL;
}

void fields_json(json *j, const field *fields, size_t count, const void *object, bool mute)
{
    for (size_t i = 0; i < count; i++) {
        const field *f = &fields[i];
        json_key(j, f->name);
        if (f->kind == FIELD_TEXT) json_text(j, field_text(f, object));
        else if (f->kind == FIELD_BOOL) json_bool(j, field_number(f, object, mute) != 0);
        else json_number(j, field_number(f, object, mute));
    }
}
