#include "load/safetensors.h"

#include "base/map.h"
#include "wire/safetensors.h"

static dtype type_of(str name)
{
    static const struct {
        const char *name;
        dtype type;
    } types[] = {
        {"F32", DT_FP32},        {"F16", DT_FP16},        {"BF16", DT_BF16},       {"F64", DT_FP64},
        {"F8_E4M3", DT_FP8E4M3}, {"F8_E5M2", DT_FP8E5M2}, {"F8_E8M0", DT_UINT8},   {"F8_E4M3FNUZ", DT_FP8E4M3},
        {"F4", DT_FP4},          {"F6_E2M3", DT_FP8E4M3}, {"F6_E3M2", DT_FP8E5M2}, {"F8_E5M2FNUZ", DT_FP8E5M2},
        {"BOOL", DT_BOOL},       {"U8", DT_UINT8},        {"I8", DT_INT8},         {"U16", DT_UINT16},
        {"I16", DT_INT16},       {"U32", DT_UINT32},      {"I32", DT_INT32},       {"U64", DT_UINT64},
        {"I64", DT_INT64},       {"C64", DT_COMPLEX64},   {"I4", DT_INT4},         {"U4", DT_UINT4},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_is(name, types[i].name)) return types[i].type;
    return DT_UNKNOWN;
}

/* Tensors that are kept with a model and not trained. */
static bool is_buffer(str name)
{
    static const char *const endings[] = {
        ".running_mean", ".running_var", ".num_batches_tracked", "rotary_emb.inv_freq", ".masked_bias",
        "position_ids",  ".g_idx",       ".rope_freqs"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (str_ends(name, endings[i])) return true;
    return false;
}

pg_code safetensors_append(weight_list *list, span file, pg_error *e)
{
    safetensors_tensor *t;
    size_t n;
    pg_code code = safetensors_read(file, list->a, &t, &n, e);
    if (code) return code;
    if (list->count + n > list->cap) {
        size_t cap = list->cap + n + list->cap / 2 + 16;
        load_weight *grown = arena_grow(list->a, list->w, list->cap, cap, sizeof *grown);
        if (!grown) return error_nomem(e, list->a);
        list->w = grown;
        list->cap = cap;
    }
    for (size_t i = 0; i < n; i++) {
        load_weight *w = &list->w[list->count++];
        *w = (load_weight){
            .name = t[i].name, .type = type_of(t[i].dtype), .rank = t[i].rank, .bytes = t[i].end - t[i].begin};
        memcpy(w->dims, t[i].dims, sizeof w->dims);
        w->buffer = is_buffer(w->name) || (t[i].rank == 4 && str_ends(w->name, ".attn.bias")); /* GPT-2's mask */
    }
    return PG_E_OK;
}

/* ---- packed weights ---- */

typedef struct packing {
    weight_list *list;
    map names;
    char text[512];
} packing;

/* The tensor of the same module under another ending. */
static load_weight *beside(packing *p, str name, size_t ending, const char *other)
{
    size_t n = name.len - ending, m = strlen(other);
    if (n + m > sizeof p->text) return NULL;
    memcpy(p->text, name.ptr, n);
    memcpy(p->text + n, other, m);
    uint32_t *at = map_find(&p->names, (str){p->text, n + m});
    return at ? &p->list->w[*at] : NULL;
}

static void mark(load_weight *w)
{
    if (w) w->buffer = true;
}

static int64_t last(const load_weight *w)
{
    return w->rank ? w->dims[w->rank - 1] : 1;
}

/* The tensor holds `times` as many weights as it has elements. */
static void stands_for(load_weight *w, double times, dtype type)
{
    int64_t n = 1;
    for (int d = 0; d < w->rank; d++)
        if (__builtin_mul_overflow(n, w->dims[d], &n)) return;
    double count = (double)n * times;
    if (count > 9e15) return;
    w->rank = 2; /* bytes in a row alone are taken for tables, not for weights */
    w->dims[0] = 1;
    w->dims[1] = (int64_t)count;
    w->type = type;
}

static dtype integer_of(double bits)
{
    return bits > 4.5 ? DT_INT8 : bits > 2.5 ? DT_INT4 : DT_INT2;
}

/* GPTQ packs along the inputs, and its zero points along the outputs; AWQ packs weights along the outputs. */
static void unpack_qweight(packing *p, load_weight *w)
{
    static const size_t ending = sizeof "qweight" - 1;
    load_weight *scales = beside(p, w->name, ending, "scales"), *zeros = beside(p, w->name, ending, "qzeros");
    double bits = 4;
    if (scales && last(scales) > 0 && last(scales) != last(w)) bits = 32.0 * (double)last(w) / (double)last(scales);
    else if (scales && zeros && last(scales) > 0) bits = 32.0 * (double)last(zeros) / (double)last(scales);
    if (!(bits >= 1 && bits <= 16)) bits = 4;
    stands_for(w, 32 / bits, integer_of(bits));
    mark(scales);
    mark(zeros);
}

static void unpack_bitsandbytes(packing *p, load_weight *w)
{
    static const char *const with[] = {".absmax",
                                       ".quant_map",
                                       ".nested_absmax",
                                       ".nested_quant_map",
                                       ".quant_state.bitsandbytes__nf4",
                                       ".quant_state.bitsandbytes__fp4"};
    for (size_t i = 0; i < sizeof with / sizeof *with; i++) mark(beside(p, w->name, 0, with[i]));
    stands_for(w, 2, DT_INT4);
}

/* compressed-tensors: 32-bit words, or bytes of two FP4 numbers. */
static void unpack_compressed(packing *p, load_weight *w)
{
    static const size_t ending = sizeof "_packed" - 1;
    load_weight *scale = beside(p, w->name, ending, "_scale");
    bool fp4 = w->type == DT_UINT8;
    stands_for(w, fp4 ? 2 : 8, fp4 ? DT_FP4 : DT_INT4);
    mark(scale);
    mark(beside(p, w->name, ending, "_shape"));
    mark(beside(p, w->name, ending, "_zero_point"));
    mark(beside(p, w->name, ending, "_global_scale"));
}

static void unpack_weight(packing *p, load_weight *w)
{
    static const char *const scales[] = {"_scale_inv", "_scale", "_scale_2", "_zero_point"};
    size_t cut = sizeof "weight" - 1;
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        load_weight *s = beside(p, w->name, 0, scales[i]);
        bool pairs = s && w->type == DT_UINT8 && i == 1; /* two FP4 numbers a byte, with a scale for 16 of them */
        if (s && s->type != DT_BF16) mark(s);
        if (s && dtype_get(w->type)->bits <= 8) mark(s);
        if (pairs) stands_for(w, 2, DT_FP4);
    }
    mark(beside(p, w->name, cut, "input_scale"));
    mark(beside(p, w->name, cut, "SCB"));
    mark(beside(p, w->name, cut, "weight_format"));
    if (w->type == DT_UINT8 && (beside(p, w->name, 0, ".quant_state.bitsandbytes__nf4") ||
                                beside(p, w->name, 0, ".quant_state.bitsandbytes__fp4")))
        unpack_bitsandbytes(p, w);
}

bool safetensors_unpack(weight_list *list)
{
    packing p = {.list = list};
    map_init(&p.names, list->a);
    for (size_t i = 0; i < list->count; i++) {
        bool added;
        if (!map_add(&p.names, list->w[i].name, (uint32_t)i, &added)) return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        load_weight *w = &list->w[i];
        if (str_ends(w->name, ".qweight") && w->type == DT_INT32) unpack_qweight(&p, w);
        else if (str_ends(w->name, ".weight_packed")) unpack_compressed(&p, w);
        else if (str_ends(w->name, "_blocks") && w->type == DT_UINT8) {
            mark(beside(&p, w->name, sizeof "_blocks" - 1, "_scales"));
            stands_for(w, 2, DT_FP4);
        } else if (str_ends(w->name, "weight")) {
            unpack_weight(&p, w);
        }
    }
    return true;
}
