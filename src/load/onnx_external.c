/* Weights in files beside the model (TensorProto.data_location is EXTERNAL).
 *
 * 1. TensorProto.external_data 13: StringStringEntryProto, key 1 and value 2, one for each of
 * 2. location: a path from the model's folder; offset: bytes into that file, 0 if left out; length: bytes; checksum.
 *
 * The tensor itself says its type and dims, so that the files may be missing. Of those that are there, small constants are read,
 * since shapes may rest on them; weights never are. Ranges may overlap, as those of equal weights do: nothing is sized by them. */
#include "load/onnx_internal.h"

static str beginning(str s, size_t most)
{
    return (str){s.ptr, s.len < most ? s.len : most};
}

static bool take_decimal(str s, uint64_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || n > (UINT64_MAX - 9) / 10) return false;
        n = n * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    *out = n;
    return s.len > 0;
}

pg_code onnx_read_external(onnx_reader *r, span entry, onnx_elsewhere *out)
{
    protobuf_field f;
    str key = {NULL, 0}, value = {NULL, 0};
    uint64_t at = entry.base;
    while (protobuf_next(&entry, &f, r->e) == 1) {
        if (f.number == 1) key = protobuf_str(&f);
        else if (f.number == 2) value = protobuf_str(&f);
    }
    if (error_is_set(r->e)) return r->e->code;
    bool ok = true;
    if (str_is(key, "location")) out->location = value;
    else if (str_is(key, "offset")) ok = take_decimal(value, &out->offset);
    else if (str_is(key, "length")) ok = out->has_length = take_decimal(value, &out->length);
    return ok ? PG_E_OK
              : error_at(r->e, PG_E_FORMAT, at, "external_data gives '%.*s' as %.*s, which is no number of bytes",
                         STR_ARG(beginning(value, 40)), STR_ARG(key));
}

/* The file of that name, looked for once. NULL: out of memory. */
static onnx_external_file *file_of(onnx_reader *r, str location)
{
    bool added;
    uint32_t *at = map_find(&r->external, location);
    if (at) return &r->external_files[*at];
    str name = str_copy(r->g->a, location);
    if (r->n_external == r->cap_external) {
        uint32_t cap = r->cap_external ? r->cap_external * 2 : 4;
        onnx_external_file *grown = arena_grow(r->g->a, r->external_files, r->cap_external, cap,
                                               sizeof *r->external_files);
        if (!grown) return NULL;
        r->external_files = grown;
        r->cap_external = cap;
    }
    if (!name.ptr || !map_add(&r->external, name, r->n_external, &added)) return NULL;
    onnx_external_file *f = &r->external_files[r->n_external++];
    *f = (onnx_external_file){.name = name};
    /* a zero within the name would end it early */
    bool whole = name.len && strlen(name.ptr) == name.len;
    if (r->n_external > LOAD_FILES) f->state = ONNX_FILE_UNSEEN;
    else if (whole && load_lies_beside(r->in, name.ptr, &f->size)) f->state = ONNX_FILE_THERE;
    else f->state = whole && load_leads_out(r->in, name.ptr) ? ONNX_FILE_OUTSIDE : ONNX_FILE_MISSING;
    return f;
}

pg_code onnx_find_external(onnx_reader *r, uint64_t at, const onnx_elsewhere *where, const tensor *t, bool wanted,
                           span *out)
{
    *out = (span){NULL, 0, 0};
    bool sized = dtype_get((dtype)t->dtype)->bits && t->dtype != DT_UNKNOWN;
    if (sized && where->has_length && (double)where->length != t->weight_bytes)
        return error_at(r->e, PG_E_FORMAT, at,
                        "tensor '%.*s' has %llu bytes in '%.*s' where its shape needs %.0f; the file is damaged",
                        STR_ARG(t->name), (unsigned long long)where->length, STR_ARG(beginning(where->location, 120)),
                        t->weight_bytes);
    onnx_external_file *f = file_of(r, where->location);
    if (!f) return onnx_nomem(r);
    if (f->state == ONNX_FILE_THERE && sized &&
        (where->offset > f->size || t->weight_bytes > (double)(f->size - where->offset))) {
        span bytes;
        pg_error why = PG_ERROR_INIT;
        bool pointer = load_beside(r->in, f->name.ptr, &bytes, &why) == PG_E_UNSUPPORTED;
        if (why.code == PG_E_NOMEM) return onnx_nomem(r);
        f->state = pointer ? ONNX_FILE_POINTER : ONNX_FILE_CUT;
        f->behind = t->name;
    }
    bool inside = where->offset <= f->size && t->weight_bytes <= (double)(f->size - where->offset);
    bool readable = (f->state == ONNX_FILE_THERE || f->state == ONNX_FILE_CUT) && inside;
    bool counts = !dtype_get((dtype)t->dtype)->floating; /* sizes, axes; not a bias */
    if (!wanted) return PG_E_OK;
    f->lost += counts && !readable;
    if (!readable) return PG_E_OK;
    span bytes;
    pg_error ignored = PG_ERROR_INIT; /* it went away since, or may not be read: as if it were not there */
    if (load_beside(r->in, f->name.ptr, &bytes, &ignored) || bytes.len < where->offset + (size_t)t->weight_bytes) {
        if (ignored.code == PG_E_NOMEM) return onnx_nomem(r);
        f->state = ONNX_FILE_MISSING;
        f->lost += counts;
        return PG_E_OK;
    }
    *out = (span){bytes.ptr + where->offset, (size_t)t->weight_bytes, where->offset};
    return PG_E_OK;
}

/* One line for all files that have this in common. */
static bool warn_state(onnx_reader *r, int state, const char *what)
{
    const onnx_external_file *first = NULL;
    uint32_t more = 0, lost = 0;
    char others[48] = "", which[160] = "a file that is not named";
    for (uint32_t i = 0; i < r->n_external; i++) {
        const onnx_external_file *f = &r->external_files[i];
        if (f->state != state) continue;
        more += first != NULL;
        lost += f->lost;
        if (!first) first = f;
    }
    if (!first) return true;
    if (more) format_text(others, sizeof others, " and %u more", more);
    if (first->name.len) format_text(which, sizeof which, "'%.*s'", STR_ARG(beginning(first->name, 120)));
    if (lost)
        return graph_warn(r->g,
                          "weights lie in %s%s, %s: %u small constants there, on which shapes may rest, are unknown",
                          which, others, what, lost);
    return graph_warn(r->g, "weights lie in %s%s, %s: sizes and speed are known without", which, others, what);
}

bool onnx_warn_external(onnx_reader *r)
{
    for (uint32_t i = 0; i < r->n_external; i++) {
        const onnx_external_file *f = &r->external_files[i];
        char what[160];
        if (f->state != ONNX_FILE_CUT) continue;
        format_text(what, sizeof what, "which ends at byte %llu, before '%.*s': it was cut off",
                    (unsigned long long)f->size, STR_ARG(beginning(f->behind, 60)));
        if (!warn_state(r, ONNX_FILE_CUT, what)) return false;
        break;
    }
    return warn_state(r, ONNX_FILE_POINTER, "which is a Git LFS pointer (`git lfs pull` fetches it)") &&
           warn_state(r, ONNX_FILE_MISSING, "which is not beside the model") &&
           warn_state(r, ONNX_FILE_UNSEEN, "of more files than are looked for") &&
           warn_state(r, ONNX_FILE_OUTSIDE, "which is outside of the model's folder and not looked at");
}
