/* Recommenders: tables of embeddings and small dense layers. DLRM (Naumov 2019) and DCN v2 (Wang 2020), NeuMF (He 2017),
 * Wide & Deep (Cheng 2016), Mult-VAE (Liang 2018). One user and one item each, so there is no sequence. */
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

static nn_val dense(nn *n, nn_val x, const char *layer, int64_t out, op_kind act)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_fc(n, x, "linear", out);
    if (act != NN_NO_ACT) x = nn_op1(n, act, "act", x);
    nn_pop(n, mark);
    return x;
}

/* Layers of these widths; the last one has `last` as its activation. */
static nn_val mlp(nn *n, nn_val x, const char *name, const int64_t *widths, int count, op_kind last)
{
    size_t mark = nn_push(n, "%s", name);
    for (int i = 0; i < count; i++) {
        char layer[16];
        format_text(layer, sizeof layer, "%d", i);
        x = dense(n, x, layer, widths[i], i + 1 < count ? OP_Relu : last);
    }
    nn_pop(n, mark);
    return x;
}

/* Rows of a table, one per sample, or the sum of `hot` of them. */
static nn_val lookup(nn *n, const char *layer, int64_t rows, int64_t width, int64_t hot)
{
    char name[32];
    size_t mark = nn_push(n, "%s", layer);
    format_text(name, sizeof name, "%s_ids", layer);
    str s = n->failed ? STR("") : str_copy(n->g->a, str_c(name));
    if (!s.ptr) n->failed = true;
    nn_val ids = nn_row_input(n, "ids", DT_INT64, hot > 1 ? hot : 0);
    if (!n->failed) n->g->tensors[ids.t].name = s;
    nn_val x = nn_embedding(n, ids, "embedding", rows, width, NULL);
    if (hot > 1) x = nn_reduce(n, x, OP_ReduceSum, "sum", 1, false);
    nn_pop(n, mark);
    return x;
}

/* ---- DLRM: 13 numbers and 26 categories of Criteo's clicks ---- */

enum { TABLES = 26, WIDTH = 128, NUMBERS = 13 };

typedef struct dlrm_dims {
    const int64_t *rows; /* of the tables */
    const int64_t *hot;  /* NULL: one category each */
    bool cross;          /* three low-rank cross layers (DCN v2) instead of dot products */
} dlrm_dims;

/* Dot products of all pairs of the 27 vectors, beside the dense vector itself; one more for an even width. */
static nn_val dot_interaction(nn *n, nn_val dense_part, const nn_val *features)
{
    enum { VECTORS = TABLES + 1, PAIRS = VECTORS * (VECTORS - 1) / 2 };
    int64_t pair[PAIRS];
    int count = 0;
    for (int i = 1; i < VECTORS; i++)
        for (int k = 0; k < i; k++) pair[count++] = i * VECTORS + k;
    size_t mark = nn_push(n, "interaction");
    nn_val x = nn_concat(n, features, VECTORS, 1, "concat");
    x = nn_reshape(n, x, "vectors", 3, (int64_t[]){0, VECTORS, WIDTH}, WIDTH);
    nn_val z = nn_op2(n, OP_MatMul, "dot", x, nn_transpose(n, x, "transpose", 3, (int64_t[]){0, 2, 1}).t);
    z = nn_reshape(n, z, "flatten", 2, (int64_t[]){0, VECTORS * VECTORS}, VECTORS * VECTORS);
    z = nn_op2(n, OP_Gather, "pairs", z, nn_ints(n, "pairs", ".index", pair, PAIRS));
    nn_attr(n, ATTR_axis, 1);
    z.c = PAIRS;
    x = nn_concat(n, (nn_val[]){dense_part, z}, 2, 1, "join");
    x = nn_pad_last(n, x, "pad", 2, 0, 1);
    x.c++;
    nn_pop(n, mark);
    return x;
}

static nn_val cross_interaction(nn *n, const nn_val *features)
{
    enum { LAYERS = 3, RANK = 512 };
    nn_val first = nn_concat(n, features, TABLES + 1, 1, "concat"), x = first;
    for (int i = 0; i < LAYERS; i++) {
        size_t mark = nn_push(n, "cross.%d", i);
        nn_val y = nn_linear(n, x, "v", RANK, false);
        y = nn_fc(n, y, "w", first.c);
        x = nn_add(n, nn_mul(n, first, y, "mul"), x, "add");
        nn_pop(n, mark);
    }
    return x;
}

static void build_dlrm(nn *n, const void *dims)
{
    const dlrm_dims *d = dims;
    nn_val features[TABLES + 1], x = nn_row_input(n, "numerical", n->weights, NUMBERS);
    features[0] = mlp(n, x, "bottom", (int64_t[]){512, 256, WIDTH}, 3, OP_Relu);
    for (int i = 0; i < TABLES; i++) {
        char name[16];
        format_text(name, sizeof name, "table.%d", i);
        features[i + 1] = lookup(n, name, d->rows[i], WIDTH, d->hot ? d->hot[i] : 1);
    }
    x = d->cross ? cross_interaction(n, features) : dot_interaction(n, features[0], features);
    nn_output(n, mlp(n, x, "top", (int64_t[]){1024, 1024, 512, 256, 1}, 5, OP_Sigmoid), "click");
}

/* Criteo's terabyte of clicks: categories seen at least 15 times (NVIDIA's "small" model), and all of them up to
 * 40 million a table with as many per click as MLPerf's version of 2023 has. */
static const int64_t criteo_15[TABLES] = {7912889, 33823,   17139,   7339,    20046,  4,     7105, 1382, 63,
                                          5554114, 582469,  245828,  11,      2209,   10667, 104,  4,    968,
                                          15,      8165896, 2675940, 7156453, 302516, 12022, 97,   35};
static const int64_t criteo_40m[TABLES] = {39884406, 39043,    17289,    7420,     20263,  3,     7120, 1543, 63,
                                           38532951, 2953546,  403346,   10,       2208,   11938, 155,  4,    976,
                                           14,       39979771, 25641295, 39664984, 585935, 12972, 108,  36};
static const int64_t criteo_hot[TABLES] = {3, 2, 1, 2, 6, 1, 1,  1,   1,  7,  3, 8, 1,
                                           6, 9, 5, 1, 1, 1, 12, 100, 27, 10, 3, 1, 1};

/* ---- NeuMF on MovieLens 20M ---- */

static void build_ncf(nn *n, const void *dims)
{
    (void)dims;
    enum { USERS = 138493, ITEMS = 26744, FACTORS = 64, HALF = 128 };
    nn_val user = nn_row_input(n, "user", DT_INT64, 0), item = nn_row_input(n, "item", DT_INT64, 0);
    nn_val mf_user = nn_embedding(n, user, "mf_user_embed", USERS, FACTORS, NULL);
    nn_val mf = nn_mul(n, mf_user, nn_embedding(n, item, "mf_item_embed", ITEMS, FACTORS, NULL), "mf");
    nn_val x[2] = {nn_embedding(n, user, "mlp_user_embed", USERS, HALF, NULL),
                   nn_embedding(n, item, "mlp_item_embed", ITEMS, HALF, NULL)};
    nn_val y = nn_concat(n, x, 2, 1, "mlp_concat");
    y = mlp(n, y, "mlp", (int64_t[]){256, 128, 64}, 3, OP_Relu);
    y = nn_concat(n, (nn_val[]){mf, y}, 2, 1, "concat");
    nn_output(n, dense(n, y, "final", 1, OP_Sigmoid), "score");
}

/* ---- Wide & Deep on Outbrain's clicks, as NVIDIA has it in TensorFlow 2 ---- */

static const struct {
    const char *name;
    int64_t rows, width, hot;
} outbrain[] = {{"document_id", 300000, 128, 1},
                {"ad_id", 250000, 128, 1},
                {"document_id_promo", 100000, 128, 1},
                {"source_id_promo", 4000, 64, 1},
                {"source_id", 4000, 64, 1},
                {"geo_location", 2500, 64, 1},
                {"advertiser_id", 2500, 64, 1},
                {"geo_location_state", 2000, 64, 1},
                {"publisher_id_promo", 1000, 64, 1},
                {"publisher_id", 1000, 64, 1},
                {"geo_location_country", 300, 64, 1},
                {"platform", 4, 19, 1},
                {"campaign_id", 5000, 128, 1},
                {"topic_id_list", 350, 64, 3},
                {"entity_id_list", 10000, 64, 3},
                {"category_id_list", 100, 64, 3}};
enum { OUTBRAIN = sizeof outbrain / sizeof *outbrain };

static void build_wide_and_deep(nn *n, const void *dims)
{
    (void)dims;
    nn_val deep[OUTBRAIN + 1], wide = NN_ABSENT;
    nn_val numbers = nn_row_input(n, "numerical", n->weights, NUMBERS);
    for (int i = 0; i < OUTBRAIN; i++) {
        size_t mark = nn_push(n, "%s", outbrain[i].name);
        int64_t hot = outbrain[i].hot;
        nn_val ids = nn_row_input(n, outbrain[i].name, DT_INT64, hot > 1 ? hot : 0);
        nn_val x = nn_embedding(n, ids, "embedding", outbrain[i].rows, outbrain[i].width, NULL);
        nn_val w = nn_embedding(n, ids, "wide", outbrain[i].rows, 1, NULL);
        if (hot > 1) {
            x = nn_reduce(n, x, OP_ReduceSum, "embedding_sum", 1, false);
            w = nn_reduce(n, w, OP_ReduceSum, "wide_sum", 1, false);
        }
        deep[i] = x;
        wide = i ? nn_add(n, wide, w, "wide_add") : w;
        nn_pop(n, mark);
    }
    wide = nn_add(n, wide, nn_fc(n, numbers, "wide_numbers", 1), "wide_all");
    deep[OUTBRAIN] = numbers;
    nn_val x = nn_concat(n, deep, OUTBRAIN + 1, 1, "concat");
    x = mlp(n, x, "deep", (int64_t[]){1024, 1024, 1024, 1024, 1024, 1}, 6, NN_NO_ACT);
    nn_output(n, nn_op1(n, OP_Sigmoid, "sigmoid", nn_add(n, x, wide, "add")), "click");
}

/* ---- Mult-VAE on MovieLens 20M: what a user saw, as the sum of its items' rows, through 200 features to all items ---- */

static void build_vae_cf(nn *n, const void *dims)
{
    (void)dims;
    enum { ITEMS = 20108, HIDDEN = 600, LATENT = 200, SEEN = 73 /* items of a user on average */ };
    nn_val x = lookup(n, "items", ITEMS, HIDDEN, SEEN);
    x = nn_add(n, x, nn_parameter(n, "encoder.0.bias", 1, (int64_t[]){HIDDEN}), "encoder.0.add");
    x = nn_op1(n, OP_Tanh, "encoder.0.act", x);
    x = nn_fc(n, x, "encoder.1", 2 * LATENT);
    x = nn_slice(n, x, "mean", 1, 0, LATENT, LATENT);
    x = dense(n, x, "decoder.0", HIDDEN, OP_Tanh);
    nn_output(n, nn_fc(n, x, "decoder.1", ITEMS), "scores");
}

#define NVIDIA(path) "https://github.com/NVIDIA/DeepLearningExamples: " path

static const zoo_entry rows[] = {
    {.name = "dlrm",
     .aliases = "dlrm-small dlrm-criteo",
     .family = "recommender",
     .description = "DLRM, Criteo's terabyte, categories seen 15 times",
     .parameters = 4189139585,
     .source = NVIDIA("TensorFlow2/Recommendation/DLRM_and_DCNv2"),
     .build = build_dlrm,
     .dims = ZOO_DIMS(dlrm_dims, {criteo_15, NULL, false})},
    {.name = "dlrm-mlperf",
     .aliases = "dlrm-criteo-1tb dlrm-large dlrm-99 dlrm-99.9",
     .family = "recommender",
     .description = "DLRM, Criteo's terabyte, up to 40 M categories a table (MLPerf)",
     .parameters = 24036596993,
     .source = "https://github.com/mlcommons/inference: recommendation/dlrm",
     .build = build_dlrm,
     .dims = ZOO_DIMS(dlrm_dims, {criteo_40m, NULL, false})},
    {.name = "dlrm-dcnv2",
     .aliases = "dcnv2 dcn-v2",
     .family = "recommender",
     .description = "DLRM with DCN v2's cross layers, categories seen 15 times",
     .parameters = 4202814209,
     .source = NVIDIA("TensorFlow2/Recommendation/DLRM_and_DCNv2"),
     .build = build_dlrm,
     .dims = ZOO_DIMS(dlrm_dims, {criteo_15, NULL, true})},
    {.name = "dlrm-dcnv2-mlperf",
     .aliases = "dlrm-v2 dlrm-v2-99 dlrm-v2-99.9",
     .family = "recommender",
     .description = "DLRM with DCN v2's cross layers, 214 categories a click (MLPerf)",
     .parameters = 24050271617,
     .source = "https://github.com/mlcommons/inference: recommendation/dlrm_v2",
     .build = build_dlrm,
     .dims = ZOO_DIMS(dlrm_dims, {criteo_40m, criteo_hot, true})},
    {.name = "ncf",
     .aliases = "neumf",
     .family = "recommender",
     .description = "NeuMF, MovieLens 20M",
     .parameters = 31832577,
     .source = NVIDIA("PyTorch/Recommendation/NCF"),
     .build = build_ncf},
    {.name = "wide_and_deep",
     .aliases = "wide-deep widedeep",
     .family = "recommender",
     .description = "Wide & Deep, Outbrain",
     .parameters = 91777245,
     .source = NVIDIA("TensorFlow2/Recommendation/WideAndDeep"),
     .build = build_wide_and_deep},
    {.name = "vae-cf",
     .aliases = "mult-vae multvae",
     .family = "recommender",
     .description = "Mult-VAE, MovieLens 20M",
     .parameters = 24511308,
     .source = NVIDIA("TensorFlow/Recommendation/VAE-CF"),
     .build = build_vae_cf},
};

const zoo_table zoo_recommender = ZOO_TABLE(rows);
