/* Structs as members of JSON objects. */
#include "render/fields.h"
#include "render/render.h"

void render_whole_json(jsonw *j, double x)
{
    if (x >= 0 && x < WHOLE_MOST) jsonw_integer(j, (int64_t)floor(x + 0.5));
    else jsonw_known(j, x);
}

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
    case FIELD_LENGTH:
    case FIELD_UINT64:
        memcpy(&whole, at, sizeof whole);
        return f->kind == FIELD_LENGTH && whole < 0 ? (double)NAN : (double)whole;
    case FIELD_BOOL: {
        bool value;
        memcpy(&value, at, sizeof value);
        return value;
    }
    case FIELD_TEXT:
    case FIELD_CHARS:
    case FIELD_NULL: break;
    }
    return (double)NAN;
}

bool field_is_whole(const field *f)
{
    return f->kind == FIELD_BYTES || f->kind == FIELD_INT || f->kind == FIELD_COUNT || f->kind == FIELD_INT64 ||
           f->kind == FIELD_UINT64 || f->kind == FIELD_LENGTH;
}

const char *field_text(const field *f, const void *object, bool mute)
{
    const char *text = NULL;
    if (f->kind == FIELD_TEXT && !(f->speed && mute)) memcpy(&text, (const char *)object + f->offset, sizeof text);
    if (f->kind == FIELD_CHARS && !(f->speed && mute)) text = (const char *)object + f->offset;
    return text && text[0] ? text : NULL;
}

void fields_json(jsonw *j, const field *fields, size_t count, const void *object, bool mute)
{
    for (size_t i = 0; i < count; i++) {
        const field *f = &fields[i];
        jsonw_key(j, f->name);
        double x = field_number(f, object, mute);
        if (f->kind == FIELD_TEXT || f->kind == FIELD_CHARS) jsonw_text(j, field_text(f, object, mute));
        else if (f->kind == FIELD_BOOL) jsonw_bool(j, x != 0);
        else if (field_is_whole(f) && fabs(x) < WHOLE_MOST) jsonw_integer(j, (int64_t)x);
        else jsonw_number(j, x);
    }
}
