#include "wire/gguf.h"

#include "base/map.h"

/* github.com/ggml-org/ggml: ggml-common.h */
static const gguf_type types[] = {
    {0, "F32", 1, 4},           {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},        {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},        {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},        {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},      {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},     {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},     {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66},   {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98},   {19, "IQ1_S", 256, 50},   {20, "IQ4_NL", 32, 18},     {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},     {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},           {25, "I16", 1, 2},
    {26, "I32", 1, 4},          {27, "I64", 1, 8},        {28, "F64", 1, 8},          {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},         {31, "Q4_0_4_4", 32, 18}, {32, "Q4_0_4_8", 32, 18},   {33, "Q4_0_8_8", 32, 18},
    {34, "TQ1_0", 256, 54},     {35, "TQ2_0", 256, 66},   {36, "IQ4_NL_4_4", 32, 18}, {37, "IQ4_NL_4_8", 32, 18},
    {38, "IQ4_NL_8_8", 32, 18}, {39, "MXFP4", 32, 17},    {40, "NVFP4", 64, 36},
};

/* llama.h: llama_ftype */
static const struct {
    uint32_t number;
    const char *name;
} file_types[] = {
    {0, "f32"},     {1, "f16"},     {2, "q4_0"},     {3, "q4_1"},    {7, "q8_0"},    {8, "q5_0"},    {9, "q5_1"},
    {10, "q2_k"},   {11, "q3_k_s"}, {12, "q3_k_m"},  {13, "q3_k_l"}, {14, "q4_k_s"}, {15, "q4_k_m"}, {16, "q5_k_s"},
    {17, "q5_k_m"}, {18, "q6_k"},   {19, "iq2_xxs"}, {20, "iq2_xs"}, {21, "q2_k_s"}, {22, "iq3_xs"}, {23, "iq3_xxs"},
    {24, "iq1_s"},  {25, "iq4_nl"}, {26, "iq3_s"},   {27, "iq3_m"},  {28, "iq2_s"},  {29, "iq2_m"},  {30, "iq4_xs"},
    {31, "iq1_m"},  {32, "bf16"},   {36, "tq1_0"},   {37, "tq2_0"},  {38, "mxfp4"},
};

/* NULL: unknown. */
static const gguf_type *type_of(uint32_t number)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].number == number) return &types[i];
    return NULL;
}

const char *gguf_file_type(uint32_t number)
{
    for (size_t i = 0; i < sizeof file_types / sizeof *file_types; i++)
        if (file_types[i].number == (number & ~1024u)) return file_types[i].name; /* 1024: guessed by the writer */
    return NULL;
}

bool gguf_is(span file)
{
    return file.len >= 4 && !memcmp(file.ptr, "GGUF", 4);
}

/* ---- taking bytes ---- */

typedef struct cursor {
    span file;
    size_t at;
    bool big_endian;
    pg_error *e;
} cursor;

static uint64_t bits_of(const uint8_t *p, size_t n, bool big_endian)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v = v << 8 | p[big_endian ? i : n - 1 - i];
    return v;
}

static pg_code cut_off(cursor *c, const char *what)
{
    return error_at(c->e, PG_E_TRUNCATED, c->at, "the GGUF file ends within %s; download it again", what);
}

static pg_code take(cursor *c, size_t n, uint64_t *out, const char *what)
{
    *out = 0;
    if (c->file.len - c->at < n) return cut_off(c, what);
    *out = bits_of(c->file.ptr + c->at, n, c->big_endian);
    c->at += n;
    return PG_E_OK;
}

static pg_code take_text(cursor *c, str *out, const char *what)
{
    uint64_t n;
    pg_code code = take(c, 8, &n, what);
    if (code) return code;
    if (n > c->file.len - c->at) return cut_off(c, what);
    *out = (str){(const char *)c->file.ptr + c->at, (size_t)n};
    c->at += (size_t)n;
    return PG_E_OK;
}

static size_t size_of(uint8_t kind)
{
    static const uint8_t sizes[GGUF_KINDS] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return kind < GGUF_KINDS ? sizes[kind] : 0;
}

/* ---- metadata ---- */

static pg_code take_value(cursor *c, gguf_value *v, int depth);

static pg_code take_array(cursor *c, gguf_value *v, int depth)
{
    enum { DEPTH = 4 };
    uint64_t kind, n;
    pg_code code = take(c, 4, &kind, "an array");
    if (!code) code = take(c, 8, &n, "an array");
    if (code) return code;
    if (kind >= GGUF_KINDS || depth == DEPTH)
        return error_at(c->e, PG_E_FORMAT, c->at, "'%.*s' is an array of the unknown type %llu", STR_ARG(v->key),
                        (unsigned long long)kind);
    v->element = (uint8_t)kind;
    v->count = n;
    size_t from = c->at, size = size_of((uint8_t)kind), left = c->file.len - c->at;
    if (n > left / (size ? size : 8)) return cut_off(c, "an array");
    if (size) c->at += (size_t)n * size;
    for (uint64_t i = 0; i < n && !size && !code; i++) {
        gguf_value inner = {.key = v->key, .kind = (uint8_t)kind};
        code = take_value(c, &inner, depth + 1);
    }
    v->bytes = (span){c->file.ptr + from, c->at - from, from};
    return code;
}

static pg_code take_value(cursor *c, gguf_value *v, int depth)
{
    size_t from = c->at, size = size_of(v->kind);
    str text;
    if (v->kind == GGUF_ARRAY) return take_array(c, v, depth);
    if (v->kind == GGUF_TEXT) {
        pg_code code = take_text(c, &text, "a text");
        v->bytes = (span){(const uint8_t *)text.ptr, code ? 0 : text.len, from};
        return code;
    }
    if (c->file.len - c->at < size) return cut_off(c, "the metadata");
    v->bytes = (span){c->file.ptr + from, size, from};
    c->at += size;
    return PG_E_OK;
}

static pg_code read_values(gguf *g, cursor *c, arena *a, uint64_t n)
{
    enum { LEAST = 13 }; /* bytes: an empty key, a type, one byte */
    map names;
    bool added;
    map_init(&names, a);
    if (n > (c->file.len - c->at) / LEAST) return cut_off(c, "the metadata");
    g->values = ARENA_ARRAY(a, gguf_value, (size_t)n + 1);
    if (!g->values) return error_nomem(c->e, a);
    for (; g->n_values < n; g->n_values++) {
        gguf_value *v = &g->values[g->n_values];
        uint64_t kind;
        pg_code code = take_text(c, &v->key, "a key");
        if (!code) code = take(c, 4, &kind, "the metadata");
        if (code) return code;
        if (kind >= GGUF_KINDS)
            return error_at(c->e, PG_E_FORMAT, c->at, "'%.*s' has the unknown type %llu", STR_ARG(v->key),
                            (unsigned long long)kind);
        v->kind = (uint8_t)kind;
        code = take_value(c, v, 0);
        if (code) return code;
        if (!map_add(&names, v->key, 0, &added)) return error_nomem(c->e, a);
        if (!added) return error_at(c->e, PG_E_FORMAT, c->at, "the key '%.*s' occurs twice", STR_ARG(v->key));
    }
    return PG_E_OK;
}

const gguf_value *gguf_find(const gguf *g, str key)
{
    for (size_t i = 0; i < g->n_values; i++)
        if (str_eq(g->values[i].key, key)) return &g->values[i];
    return NULL;
}

bool gguf_number(const gguf *g, const gguf_value *v, uint64_t i, double *out)
{
    if (!v) return false;
    uint8_t kind = v->kind == GGUF_ARRAY ? v->element : v->kind;
    size_t size = size_of(kind);
    if (!size || i >= (v->kind == GGUF_ARRAY ? v->count : 1)) return false;
    uint64_t u = bits_of(v->bytes.ptr + (size_t)i * size, size, g->big_endian);
    float f;
    uint32_t low = (uint32_t)u;
    switch (kind) {
    case GGUF_I8: *out = (int8_t)u; break;
    case GGUF_I16: *out = (int16_t)u; break;
    case GGUF_I32: *out = (int32_t)u; break;
    case GGUF_I64: *out = (double)(int64_t)u; break;
    case GGUF_F32:
        memcpy(&f, &low, sizeof f);
        *out = f;
        break;
    case GGUF_F64: memcpy(out, &u, sizeof *out); break;
    default: *out = (double)u; break;
    }
    return true;
}

/* ---- tensors ---- */

static pg_code read_tensor(cursor *c, gguf_tensor *t)
{
    uint64_t rank, type, n = 1;
    pg_code code = take_text(c, &t->name, "a tensor's name");
    if (!code) code = take(c, 4, &rank, "a tensor");
    if (code) return code;
    if (rank > GGUF_RANK)
        return error_at(c->e, PG_E_FORMAT, c->at, "tensor '%.*s' has %llu dimensions; there can be %d",
                        STR_ARG(t->name), (unsigned long long)rank, GGUF_RANK);
    t->rank = (int)rank;
    for (int i = 0; i < GGUF_RANK; i++) {
        uint64_t d = 1;
        if (i < t->rank) code = take(c, 8, &d, "a tensor");
        if (code) return code;
        if (d > INT64_MAX || __builtin_mul_overflow(n, d, &n) || n > UINT64_C(1) << 60)
            return error_at(c->e, PG_E_FORMAT, c->at, "tensor '%.*s' has more elements than there can be",
                            STR_ARG(t->name));
        t->dims[i] = (int64_t)d;
    }
    code = take(c, 4, &type, "a tensor");
    if (!code) code = take(c, 8, &t->offset, "a tensor");
    if (code) return code;
    t->type = type_of((uint32_t)type);
    if (!t->type)
        return error_at(c->e, PG_E_UNSUPPORTED, c->at, "tensor '%.*s' has the unknown type %llu", STR_ARG(t->name),
                        (unsigned long long)type);
    if ((uint64_t)t->dims[0] % t->type->block)
        return error_at(c->e, PG_E_FORMAT, c->at, "tensor '%.*s' has rows of %lld, which blocks of %u (%s) don't fill",
                        STR_ARG(t->name), (long long)t->dims[0], t->type->block, t->type->name);
    t->elements = (double)n;
    t->bytes = n / t->type->block * t->type->bytes;
    return PG_E_OK;
}

static pg_code read_tensors(gguf *g, cursor *c, arena *a, uint64_t n)
{
    enum { LEAST = 24 }; /* bytes: an empty name, no dimensions, type and offset */
    map names;
    bool added;
    map_init(&names, a);
    if (n > (c->file.len - c->at) / LEAST) return cut_off(c, "the list of tensors");
    g->tensors = ARENA_ARRAY(a, gguf_tensor, (size_t)n + 1);
    if (!g->tensors) return error_nomem(c->e, a);
    for (; g->n_tensors < n; g->n_tensors++) {
        gguf_tensor *t = &g->tensors[g->n_tensors];
        pg_code code = read_tensor(c, t);
        if (code) return code;
        if (!map_add(&names, t->name, 0, &added)) return error_nomem(c->e, a);
        if (!added) return error_at(c->e, PG_E_FORMAT, c->at, "the tensor '%.*s' occurs twice", STR_ARG(t->name));
    }
    return PG_E_OK;
}

/* Tensors lie in the file, at multiples of the alignment, in order: what overlaps would have to go back. */
static pg_code check_places(gguf *g, cursor *c)
{
    double alignment = 32;
    gguf_number(g, gguf_find(g, STR("general.alignment")), 0, &alignment);
    if (!(alignment >= 1 && alignment <= 1 << 20) || (uint64_t)alignment & ((uint64_t)alignment - 1))
        return error_set(c->e, PG_E_FORMAT, "general.alignment is %g; it must be a power of two", alignment);
    uint64_t to = (uint64_t)alignment, start = (c->at + to - 1) / to * to, end = 0;
    for (size_t i = 0; i < g->n_tensors; i++) {
        gguf_tensor *t = &g->tensors[i];
        if (t->offset % to)
            return error_set(c->e, PG_E_FORMAT, "tensor '%.*s' begins at %llu, which is not a multiple of %llu",
                             STR_ARG(t->name), (unsigned long long)t->offset, (unsigned long long)to);
        if (t->offset < end)
            return error_set(c->e, PG_E_FORMAT, "tensor '%.*s' overlaps the one before it", STR_ARG(t->name));
        if (t->offset > c->file.len || start > c->file.len - t->offset || t->bytes > c->file.len - t->offset - start)
            return error_set(c->e, PG_E_TRUNCATED,
                             "the data of tensor '%.*s' lie behind the end of the file; download it again",
                             STR_ARG(t->name));
        end = t->offset + t->bytes;
        t->offset += start;
    }
    return PG_E_OK;
}

pg_code gguf_read(gguf *g, span file, arena *a, pg_error *e)
{
    cursor c = {file, 4, false, e};
    uint64_t version, tensors, values;
    memset(g, 0, sizeof *g);
    if (!gguf_is(file)) return error_set(e, PG_E_FORMAT, "the file does not begin with \"GGUF\"");
    pg_code code = take(&c, 4, &version, "its header");
    if (code) return code;
    if (version > 0xffff) { /* written on a machine of the other byte order */
        c.big_endian = g->big_endian = true;
        version = bits_of(file.ptr + 4, 4, true);
    }
    g->version = (uint32_t)version;
    if (version == 1)
        return error_set(e, PG_E_UNSUPPORTED, "GGUF version 1 is no longer in use; convert the model again");
    if (version != 2 && version != 3)
        return error_set(e, PG_E_UNSUPPORTED, "GGUF version %llu is not known; this version reads 2 and 3",
                         (unsigned long long)version);
    code = take(&c, 8, &tensors, "its header");
    if (!code) code = take(&c, 8, &values, "its header");
    if (!code) code = read_values(g, &c, a, values);
    if (!code) code = read_tensors(g, &c, a, tensors);
    return code ? code : check_places(g, &c);
}
