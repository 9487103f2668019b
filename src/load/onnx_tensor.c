#include "load/constant.h"
#include "load/onnx_internal.h"

pg_code onnx_take_ints(onnx_reader *r, onnx_ints *list, const protobuf_field *f, uint32_t max)
{
    span rest = f->bytes;
    uint64_t value = f->value;
    int got = f->type == PROTOBUF_BYTES ? protobuf_next_varint(&rest, &value, r->e) : 1;
    while (got == 1) {
        if (list->n >= max) return PG_E_OK; /* the caller compares n with what it wants: n == max means "too many" */
        if (list->n == list->cap) {
            uint32_t cap = list->cap ? list->cap * 2 : 8;
            int64_t *v = arena_grow(r->g->a, list->v, list->cap, cap, sizeof *v);
            if (!v) return onnx_nomem(r);
            list->v = v;
            list->cap = cap;
        }
        list->v[list->n++] = (int64_t)value;
        if (f->type != PROTOBUF_BYTES) break;
        got = protobuf_next_varint(&rest, &value, r->e);
    }
    return got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}

/* What a TensorProto says, before it is put on a tensor. */
typedef struct tensor_proto {
    int64_t dims[MAX_RANK + 1];
    uint32_t rank; /* MAX_RANK + 1: too many */
    str name;
    int64_t type;
    bool external;
    onnx_elsewhere elsewhere;
    bool has_raw, has_typed;
    span raw;
    onnx_ints ints; /* int32_data, int64_data, uint64_data */
    span floats;    /* packed float_data */
    span doubles;
    float one_float; /* unpacked float_data of one element */
    bool has_one_float;
    uint64_t at;
} tensor_proto;

/* A dim, or a packed list of them. */
static pg_code take_dims(onnx_reader *r, const protobuf_field *f, int64_t *dims, uint32_t *rank)
{
    span rest = f->bytes;
    uint64_t value = f->value;
    int got = f->type == PROTOBUF_BYTES ? protobuf_next_varint(&rest, &value, r->e) : 1;
    while (got == 1 && *rank <= MAX_RANK) {
        dims[(*rank)++] = (int64_t)value;
        got = f->type == PROTOBUF_BYTES ? protobuf_next_varint(&rest, &value, r->e) : 0;
    }
    return got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}

static pg_code read_tensor_field(onnx_reader *r, tensor_proto *t, const protobuf_field *f)
{
    switch (f->number) {
    case 1: return take_dims(r, f, t->dims, &t->rank);
    case 2: t->type = protobuf_int(f); break;
    case 4:
        t->has_typed = true;
        if (f->type == PROTOBUF_BYTES) {
            t->floats = f->bytes;
        } else {
            t->one_float = protobuf_float(f);
            t->has_one_float = true;
        }
        break;
    case 5:
    case 7:
    case 11: t->has_typed = true; return onnx_take_ints(r, &t->ints, f, FOLD_MAX + 1);
    case 6: t->has_typed = true; break;
    case 8: t->name = protobuf_str(f); break;
    case 9:
        t->has_raw = f->bytes.len > 0;
        t->raw = f->bytes;
        break;
    case 10:
        t->has_typed = true;
        t->doubles = f->bytes;
        break;
    case 13: return f->type == PROTOBUF_BYTES ? onnx_read_external(r, f->bytes, &t->elsewhere) : PG_E_OK;
    case 14: t->external = protobuf_int(f) == 1; break;
    default: break;
    }
    return PG_E_OK;
}

static pg_code parse_tensor(onnx_reader *r, span proto, tensor_proto *t)
{
    protobuf_field f;
    int got;
    memset(t, 0, sizeof *t);
    t->at = proto.base;
    while ((got = protobuf_next(&proto, &f, r->e)) == 1) {
        pg_code code = read_tensor_field(r, t, &f);
        if (code) return code;
    }
    return got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}

static pg_code keep_value(onnx_reader *r, const tensor_proto *p, tensor *t, uint32_t n)
{
    dtype d = (dtype)t->dtype;
    size_t size = dtype_get(d)->bits / 8;
    bool floating = dtype_get(d)->floating;
    num *v = ARENA_ARRAY(r->g->a, num, n);
    if (!v) return onnx_nomem(r);
    span typed = d == DT_FP64 ? p->doubles : p->floats;
    for (uint32_t i = 0; i < n; i++) {
        v[i] = num_int(0);
        if (p->has_raw) v[i] = constant_element(p->raw.ptr + i * size, d);
        else if (d == DT_FP32 && p->has_one_float && n == 1) v[i].v.f = (double)p->one_float;
        else if (d == DT_FP32 || d == DT_FP64) {
            if (typed.len < (i + 1) * size) return PG_E_OK; /* a mix of packed and unpacked: legal, rare, not needed */
            v[i] = constant_element(typed.ptr + i * size, d);
        } else if (i < p->ints.n) {
            if (floating) v[i] = constant_number((uint16_t)p->ints.v[i], d); /* of half types: their bits */
            else v[i].v.i = p->ints.v[i];
        } else return PG_E_OK;
    }
    t->value = v;
    t->value_count = n;
    return PG_E_OK;
}

static pg_code put_tensor(onnx_reader *r, const tensor_proto *p, uint32_t index)
{
    tensor *t = &r->g->tensors[index];
    if (p->rank > MAX_RANK)
        return error_at(r->e, PG_E_LIMIT, p->at, "tensor '%.*s' has more than %d dimensions", STR_ARG(t->name),
                        (int)MAX_RANK);
    double elements = 1;
    for (uint32_t i = 0; i < p->rank; i++) {
        if (p->dims[i] < 0)
            return error_at(r->e, PG_E_FORMAT, p->at,
                            "tensor '%.*s' has the negative dimension %lld; the file is damaged", STR_ARG(t->name),
                            (long long)p->dims[i]);
        elements *= (double)p->dims[i];
    }
    if (elements > 1e15)
        return error_at(r->e, PG_E_LIMIT, p->at, "tensor '%.*s' claims %g elements; the file is damaged",
                        STR_ARG(t->name), elements);
    dtype d = dtype_of_code(p->type);
    double bytes = ceil(elements * dtype_bytes(d));
    if (p->has_raw && !p->external && dtype_get(d)->bits && d != DT_UNKNOWN && (double)p->raw.len != bytes)
        return error_at(r->e, PG_E_FORMAT, p->at,
                        "tensor '%.*s' holds %llu bytes where its shape needs %.0f; the file is damaged",
                        STR_ARG(t->name), (unsigned long long)p->raw.len, bytes);
    t->role = ROLE_WEIGHT;
    t->dtype = (uint8_t)d;
    t->weight_bytes = bytes;
    if (!graph_set_dims_int(r->g, index, (int)p->rank, p->dims)) return onnx_nomem(r);
    bool kept = elements > 0 && constant_is_kept(d, elements);
    if (p->external && elements > 0) {
        tensor_proto here = {.has_raw = true};
        pg_code code = onnx_find_external(r, p->at, &p->elsewhere, t, kept, &here.raw);
        return code || !here.raw.ptr ? code : keep_value(r, &here, t, (uint32_t)elements);
    }
    if ((p->has_raw || p->has_typed) && kept) return keep_value(r, p, t, (uint32_t)elements);
    if (elements == 0) t->value = ARENA_ARRAY(r->g->a, num, 1); /* an empty list is known: value_count 0 */
    return elements == 0 && !t->value ? onnx_nomem(r) : PG_E_OK;
}

pg_code onnx_read_tensor(onnx_reader *r, span proto, uint32_t t)
{
    tensor_proto p;
    pg_code code = parse_tensor(r, proto, &p);
    return code ? code : put_tensor(r, &p, t);
}

pg_code onnx_read_initializer(onnx_reader *r, span proto, onnx_scope *scope)
{
    tensor_proto p;
    pg_code code = parse_tensor(r, proto, &p);
    if (code) return code;
    p.name = str_copy(r->g->a, p.name);
    if (!p.name.ptr) return onnx_nomem(r);
    r->blobs += p.raw.len >= ONNX_BLOB;
    uint32_t t = onnx_define(r, scope, p.name);
    if (t == NO_TENSOR) return error_is_set(r->e) ? PG_E_GRAPH : onnx_nomem(r);
    return put_tensor(r, &p, t);
}

pg_code onnx_read_sparse(onnx_reader *r, span proto, uint32_t index)
{
    int64_t dims[MAX_RANK + 1] = {0};
    uint32_t rank = 0;
    protobuf_field f;
    tensor_proto values = {.type = 1}, indices = {.type = 7};
    int got;
    pg_code code = PG_E_OK;
    uint64_t at = proto.base;
    while (!code && (got = protobuf_next(&proto, &f, r->e)) == 1) {
        if (f.number == 1) code = parse_tensor(r, f.bytes, &values);
        else if (f.number == 2) code = parse_tensor(r, f.bytes, &indices);
        else if (f.number == 3) code = take_dims(r, &f, dims, &rank);
    }
    if (code || got < 0) return code ? code : PG_E_TRUNCATED;
    tensor *t = &r->g->tensors[index];
    double stored = 1, coordinates = 1, elements = 1;
    for (uint32_t i = 0; i < values.rank; i++) stored *= (double)values.dims[i];
    for (uint32_t i = 0; i < indices.rank; i++) coordinates *= (double)indices.dims[i];
    for (uint32_t i = 0; i < rank; i++) elements *= (double)dims[i];
    for (uint32_t i = 0; i < rank; i++)
        if (dims[i] < 0) elements = -1;
    if (rank > MAX_RANK || elements < 0 || elements > 1e15 || stored < 0 || stored > elements)
        return error_at(r->e, PG_E_FORMAT, at, "sparse tensor '%.*s' has impossible dimensions; the file is damaged",
                        STR_ARG(t->name));
    t->role = ROLE_WEIGHT;
    t->dtype = (uint8_t)dtype_of_code(values.type);
    t->weight_bytes = stored * dtype_bytes((dtype)t->dtype) + coordinates * 8;
    return graph_set_dims_int(r->g, index, (int)rank, dims) ? PG_E_OK : onnx_nomem(r);
}

str onnx_tensor_name(span proto, uint32_t name_field)
{
    protobuf_field f;
    str name = {NULL, 0};
    pg_error ignored = PG_ERROR_INIT; /* the same bytes are read again by the caller, who reports */
    while (protobuf_next(&proto, &f, &ignored) == 1)
        if (f.number == name_field) name = protobuf_str(&f);
    return name;
}

/* A sensible size for a symbol that the user gives no value: by its name, else by its place. */
static int64_t symbol_fallback(str name, int axis, int rank)
{
    char low[64];
    str_fold(low, sizeof low, name);
    str s = str_c(low);
    static const struct {
        const char *part;
        int64_t size;
    } known[] = {{"batch", 1},    {"seq", 128},     {"length", 128},    {"token", 128},
                 {"time", 128},   {"past", 128},    {"height", 224},    {"width", 224},
                 {"frames", 128}, {"audio", 16000}, {"samples", 16000}, {"channel", 3}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        for (size_t at = 0; at + strlen(known[i].part) <= s.len; at++)
            if (str_starts((str){s.ptr + at, s.len - at}, known[i].part)) return known[i].size;
    if (axis == 0) return 1;
    if (rank == 4 && axis >= 2) return 224;
    if (rank == 4 && axis == 1) return 3;
    if (rank >= 2 && axis == 1) return 128;
    return 1;
}

/* TensorShapeProto.Dimension */
static pg_code read_dim(onnx_reader *r, span proto, int axis, num *out, str *name)
{
    protobuf_field f;
    int got;
    bool has_value = false;
    *name = (str){NULL, 0};
    *out = num_unknown();
    while ((got = protobuf_next(&proto, &f, r->e)) == 1) {
        if (f.number == 1 && protobuf_int(&f) >= 0) {
            *out = num_int(protobuf_int(&f));
            has_value = true;
        } else if (f.number == 2) {
            *name = protobuf_str(&f);
        }
    }
    (void)axis;
    if (got < 0) return PG_E_TRUNCATED;
    if (has_value && out->v.i > (int64_t)1 << 48)
        return error_at(r->e, PG_E_LIMIT, proto.base, "an input claims a dimension of %lld; the file is damaged",
                        (long long)out->v.i);
    return PG_E_OK;
}

enum { MAX_SYMBOLS = 4096 };

/* Recurrent states are [layers, batch, hidden]. */
static bool is_state(str name)
{
    for (size_t i = 0; i < name.len; i++) {
        str rest = {name.ptr + i, name.len - i};
        if (str_starts(rest, "state") || str_starts(rest, "hidden")) return true;
    }
    return false;
}

/* Warnings about guessed sizes; more of them say nothing new. */
enum { MAX_GUESSES = 8 };

/* Whether the user says how large the input is. */
static bool is_given(const onnx_reader *r, str input)
{
    for (size_t i = 0; r->opt && i < r->opt->shape_count; i++)
        if (str_is(input, r->opt->shapes[i].name)) return true;
    return false;
}

static pg_code read_shape(onnx_reader *r, span proto, uint32_t t, bool input)
{
    num dims[MAX_RANK];
    str names[MAX_RANK];
    int rank = 0;
    protobuf_field f;
    int got;
    while ((got = protobuf_next(&proto, &f, r->e)) == 1) {
        if (f.number != 1 || f.type != PROTOBUF_BYTES) continue;
        if (rank == MAX_RANK) return error_at(r->e, PG_E_LIMIT, proto.base, "more than %d dimensions", (int)MAX_RANK);
        pg_code code = read_dim(r, f.bytes, rank, &dims[rank], &names[rank]);
        if (code) return code;
        rank++;
    }
    if (got < 0) return PG_E_TRUNCATED;
    for (int i = 0; i < rank; i++) {
        if (num_known(dims[i])) continue;
        if (!input) { /* inside: a symbol of the inputs, or not known */
            int32_t known = names[i].len ? graph_symbol_find(r->g, names[i]) : -1;
            if (known >= 0) dims[i] = (num){{.i = 0}, 1, known};
            continue;
        }
        char made[32];
        str name = names[i];
        if (!name.len && i == 0 && rank > 1) name = STR("batch");
        if (!name.len && i == 1 && rank == 3 && is_state(r->g->tensors[t].name)) name = STR("batch");
        if (!name.len) {
            size_t n = format_text(made, sizeof made, "unk__%u", r->g->n_symbols);
            name = str_copy(r->g->a, (str){made, n});
        }
        if (r->g->n_symbols >= MAX_SYMBOLS)
            return error_at(r->e, PG_E_LIMIT, proto.base,
                            "the inputs have more than %d free dimensions; the file is not a sane model",
                            (int)MAX_SYMBOLS);
        int64_t size = symbol_fallback(names[i], i, rank);
        bool nameless = str_starts(name, "unk__");
        int32_t sym = name.ptr ? graph_add_symbol(r->g, name, size) : -1;
        if (sym < 0) return onnx_nomem(r);
        if (nameless && r->g->n_warnings < MAX_GUESSES && !is_given(r, r->g->tensors[t].name) &&
            !graph_warn(
                r->g,
                "input '%.*s': dimension %d has neither name nor size and is taken as %lld; --input-shape sets it",
                STR_ARG(r->g->tensors[t].name), i, (long long)size))
            return onnx_nomem(r);
        dims[i] = (num){{.i = 0}, 1, sym};
    }
    return graph_set_dims(r->g, t, rank, dims) ? PG_E_OK : onnx_nomem(r);
}

pg_code onnx_read_type(onnx_reader *r, span proto, uint32_t t, bool input)
{
    protobuf_field f, g;
    int got, inner;
    while ((got = protobuf_next(&proto, &f, r->e)) == 1) {
        if (f.type != PROTOBUF_BYTES) continue;
        if (f.number == 9 || f.number == 4) { /* optional and sequence: the element's type */
            span rest = f.bytes;
            if (r->depth >= r->max_depth) return error_at(r->e, PG_E_LIMIT, rest.base, "types nested too deeply");
            while ((inner = protobuf_next(&rest, &g, r->e)) == 1)
                if (g.number == 1 && g.type == PROTOBUF_BYTES) {
                    r->depth++;
                    pg_code code = onnx_read_type(r, g.bytes, t, input && f.number == 9);
                    r->depth--;
                    if (code) return code;
                }
            if (inner < 0) return PG_E_TRUNCATED;
        }
        if (f.number != 1 && f.number != 8) continue; /* tensor and sparse tensor */
        span rest = f.bytes;
        while ((inner = protobuf_next(&rest, &g, r->e)) == 1) {
            if (g.number == 1) r->g->tensors[t].dtype = (uint8_t)dtype_of_code(protobuf_int(&g));
            if (g.number != 2 || g.type != PROTOBUF_BYTES) continue;
            pg_code code = read_shape(r, g.bytes, t, input);
            if (code) return code;
        }
        if (inner < 0) return PG_E_TRUNCATED;
    }
    return got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}
