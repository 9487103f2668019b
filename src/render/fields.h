/* The members of the public structs by name: one table makes JSON objects, CSV columns and the detailed listings. */
#ifndef RENDER_FIELDS_H
#define RENDER_FIELDS_H

#include "base/json.h"

typedef enum field_kind {
    FIELD_TEXT,     /* const char *; NULL or "" is null */
    FIELD_CHARS,    /* char[]; "" is null */
    FIELD_NUMBER,   /* double; negative is null */
    FIELD_POSITIVE, /* double; 0 is null too: no such unit, or not known */
    FIELD_BYTES,    /* double; bytes or a count: whole, negative is null */
    FIELD_INT,      /* int */
    FIELD_COUNT,    /* int; 0 is null */
    FIELD_INT64,
    FIELD_LENGTH, /* int64_t; negative is null */
    FIELD_UINT64,
    FIELD_BOOL,
    FIELD_NULL /* a name that other commands fill */
} field_kind;

typedef struct field {
    const char *name;
    field_kind kind;
    size_t offset;
    bool speed; /* null where the model doesn't fit */
} field;

/* Members of the object that is open. `mute`: fields with `speed` are null. */
void fields_json(jsonw *j, const field *fields, size_t count, const void *object, bool mute);
/* csv.c: the names, with `prefix` before each; `first`: no comma before the first one. */
void fields_csv_names(buffer *out, const char *prefix, const field *fields, size_t count, bool first);
void fields_csv(buffer *out, const field *fields, size_t count, const void *object, bool mute, bool first);

/* One cell as RFC 4180 quotes it; control characters become visible. */
void csv_cell(buffer *out, str s);
/* The end of a record: CR LF. */
void csv_end(buffer *out);

/* json.c: the value of a field as a number; NAN where it is null. Not for texts. */
double field_number(const field *f, const void *object, bool mute);
const char *field_text(const field *f, const void *object, bool mute);
/* Written without a fraction or an exponent while below WHOLE_MOST. */
bool field_is_whole(const field *f);
#define WHOLE_MOST 9.2e18

#endif
