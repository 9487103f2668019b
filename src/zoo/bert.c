/* BERT (Devlin 2018), RoBERTa (Liu 2019), DistilBERT (Sanh 2019), ELECTRA (Clark 2020), ALBERT (Lan 2019), MiniLM
 * (Wang 2020): post-norm encoders as in Hugging Face, without a task's head. */
#include "zoo/language.h"
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

enum {
    POOLER = 1,
    OFFSET = 2,  /* RoBERTa counts positions of tokens that are not padding, from 2 */
    SHARED = 4,  /* all layers have the first one's weights (ALBERT) */
    ANSWERS = 8, /* ends in the start and end logits of SQuAD */
    MASKED = 7   /* of ELECTRA's positions every seventh is masked: 15 % */
};

typedef struct bert_dims {
    int64_t vocabulary, width, ffn, heads, positions, types;
    int layers;
    int64_t embedding; /* width of the tables, where a layer takes it to `width`; 0: the same */
    unsigned flags;
} bert_dims;

static nn_val position_ids(nn *n, nn_val ids, bool offset)
{
    if (!offset) return nn_positions(n, ids);
    size_t mark = nn_push(n, "position_ids");
    nn_val real = nn_op2(n, OP_NotEqual, "not_padding", ids, nn_scalar(n, "padding", "", 1));
    real = nn_op1(n, OP_Cast, "cast", real);
    nn_attr(n, ATTR_to, 7); /* ONNX's number for int64 */
    nn_val at = nn_op2(n, OP_CumSum, "cumsum", real, nn_scalar(n, "axis", "", 1));
    at = nn_op2(n, OP_Add, "add", nn_mul(n, at, real, "mul"), nn_scalar(n, "first", "", 1));
    nn_pop(n, mark);
    return at;
}

static nn_val embeddings(nn *n, nn_val ids, const bert_dims *d)
{
    size_t mark = nn_push(n, "embeddings");
    int64_t width = d->embedding ? d->embedding : d->width;
    nn_val x = nn_embedding(n, ids, "word_embeddings", d->vocabulary, width, NULL);
    nn_val at = position_ids(n, ids, d->flags & OFFSET);
    if (d->types) {
        nn_val types = d->types > 1 ? nn_token_input(n, "token_type_ids") : ids;
        if (d->types == 1) { /* not an input: all zero */
            nn_val zero = {nn_scalar(n, "zero", "", 0), 0};
            types = nn_op2(n, OP_Expand, "token_type_ids", zero, nn_op1(n, OP_Shape, "shape", ids).t);
        }
        x = nn_add(n, x, nn_embedding(n, types, "token_type_embeddings", d->types, width, NULL), "add_types");
    }
    x = nn_add(n, x, nn_embedding(n, at, "position_embeddings", d->positions, width, NULL), "add_positions");
    x = nn_layer_norm(n, x, "LayerNorm");
    nn_pop(n, mark);
    return d->embedding ? nn_linear(n, x, "embeddings_project", d->width, true) : x;
}

static nn_val layer(nn *n, nn_val x, nn_val mask, const bert_dims *d)
{
    size_t mark = nn_push(n, "attention");
    nn_val q = nn_linear(n, x, "self.query", d->width, true), k = nn_linear(n, x, "self.key", d->width, true);
    nn_val v = nn_linear(n, x, "self.value", d->width, true);
    nn_val y = nn_attention(n, q, k, v, (nn_attend){.heads = d->heads, .mask = mask, .late = true});
    y = nn_linear(n, y, "output.dense", d->width, true);
    x = nn_layer_norm(n, nn_add(n, y, x, "output.add"), "output.LayerNorm");
    nn_pop(n, mark);
    y = nn_mlp(n, x, "intermediate.dense", "output.dense", d->ffn, d->flags & SHARED ? OP_FastGelu : OP_Gelu);
    return nn_layer_norm(n, nn_add(n, y, x, "output.add"), "output.LayerNorm");
}

static void describe(nn *n, const bert_dims *d)
{
    lm_layer l = {.count = (uint32_t)d->layers,
                  .mixer = LM_ATTENTION,
                  .ffn = LM_PLAIN,
                  .heads = d->heads,
                  .kv_heads = d->heads,
                  .head_dim = d->width / d->heads,
                  .qkv_bias = true,
                  .out_bias = true,
                  .ffn_dim = d->ffn,
                  .ffn_bias = true,
                  .norms = 2,
                  .norm_after_add = true,
                  .activation = d->flags & SHARED ? OP_FastGelu : OP_Gelu};
    zoo_language(n,
                 &(language_model){.type = d->flags & SHARED ? STR("albert")
                                         : d->flags & OFFSET ? STR("roberta")
                                                             : STR("bert"),
                                   .hidden = d->width,
                                   .vocab = d->vocabulary,
                                   .position_table = d->positions,
                                   .token_types = d->types,
                                   .embedding_width = d->embedding,
                                   .encoder_only = true,
                                   .no_output = true,
                                   .norm_bias = true,
                                   .embed_norm = true,
                                   .no_final_norm = true,
                                   .pooler = (d->flags & POOLER) != 0,
                                   .shared_layers = (d->flags & SHARED) != 0},
                 &l, NULL);
}

static nn_val layers(nn *n, nn_val x, nn_val mask, const bert_dims *d)
{
    nn_shared shared = {.n = 0};
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "encoder.layer.%d", i);
        n->shared = d->flags & SHARED ? &shared : NULL;
        x = layer(n, x, mask, d);
        shared.again = true;
        shared.at = 0;
        nn_pop(n, mark);
    }
    n->shared = NULL;
    return x;
}

static void build(nn *n, const void *dims)
{
    const bert_dims *d = dims;
    nn_val ids = nn_token_input(n, "input_ids"), mask = nn_padding_mask(n);
    nn_val x = layers(n, embeddings(n, ids, d), mask, d);
    if (d->flags & ANSWERS) x = nn_linear(n, x, "qa_outputs", 2, true);
    nn_output(n, x, d->flags & ANSWERS ? "logits" : "last_hidden_state");
    describe(n, d);
    if (!(d->flags & POOLER)) return;
    nn_val first = nn_pick(n, x, "pooler.first_token", 1, 0);
    nn_output(n, nn_op1(n, OP_Tanh, "pooler.activation", nn_fc(n, first, "pooler.dense", d->width)), "pooler_output");
}

/* ---- ELECTRA's pre-training ---- */

static nn_val masked_positions(nn *n, nn_val x)
{
    static const int64_t to = INT32_MAX, axis = 1, step = MASKED, from = 0;
    uint32_t in[5] = {x.t};
    in[1] = nn_ints(n, "masked", ".starts", &from, 1);
    in[2] = nn_ints(n, "masked", ".ends", &to, 1);
    in[3] = nn_ints(n, "masked", ".axes", &axis, 1);
    in[4] = nn_ints(n, "masked", ".steps", &step, 1);
    return nn_op(n, OP_Slice, "masked", in, 5, x.c);
}

static nn_val placed(nn *n, nn_val words, nn_val ids, const bert_dims *d)
{
    nn_val at = nn_embedding(n, nn_positions(n, ids), "position_embeddings", d->positions, d->width, NULL);
    return nn_layer_norm(n, nn_add(n, words, at, "add_positions"), "LayerNorm");
}

static nn_val predictions(nn *n, nn_val x, const bert_dims *d)
{
    return nn_op1(n, OP_Gelu, "predictions.act", nn_linear(n, x, "predictions.dense", d->width, true));
}

/* A generator of a third of the width guesses masked words, and NVIDIA's code computes the chances of all words at all positions before it
 * picks the masked ones; the discriminator says of each word whether it was guessed. Both have one table of words. */
static void build_pretraining(nn *n, const void *dims)
{
    const bert_dims *d = dims;
    bert_dims small = *d;
    small.width = d->width / 3;
    small.ffn = 4 * small.width;
    small.heads = d->heads / 3;
    uint32_t table;
    nn_val ids = nn_token_input(n, "input_ids"), guessed = nn_token_input(n, "guessed_ids"), mask = nn_padding_mask(n);
    size_t mark = nn_push(n, "generator");
    nn_val x = placed(n, nn_embedding(n, ids, "word_embeddings", d->vocabulary, d->width, &table), ids, d);
    x = layers(n, nn_linear(n, x, "embeddings_project", small.width, true), mask, &small);
    x = nn_layer_norm(n, predictions(n, x, d), "predictions.LayerNorm");
    x = masked_positions(n, nn_tied(n, x, "lm_head", table, d->vocabulary));
    x = nn_op1(n, OP_LogSoftmax, "log_softmax", x);
    nn_attr(n, ATTR_axis, -1);
    nn_val chances = nn_reduce(n, x, OP_ReduceSum, "of_labels", 2, false);
    nn_pop(n, mark);
    mark = nn_push(n, "discriminator");
    x = placed(n, nn_lookup(n, "word_embeddings", table, guessed, d->width), guessed, d);
    x = predictions(n, layers(n, x, mask, d), d);
    nn_output(n, nn_linear(n, x, "predictions", 1, true), "was_guessed");
    nn_pop(n, mark);
    nn_output(n, chances, "word_logprobs");
}

#define ROW(nm, alias, text, params, repo, most, ...)                                                     \
    {                                                                                                     \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params, \
        .source = ZOO_HUGGING_FACE(repo), .sequence = 128, .max_sequence = most, .build = build,          \
        .dims = ZOO_DIMS(bert_dims, __VA_ARGS__)                                                          \
    }

#define DISTILLED(nm, alias, text, params, ...)                                                                 \
    {                                                                                                           \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params,       \
        .source = "https://github.com/NVIDIA/DeepLearningExamples: PyTorch/LanguageModeling/BERT/distillation", \
        .sequence = 128, .max_sequence = 512, .build = build, .dims = ZOO_DIMS(bert_dims, __VA_ARGS__)          \
    }

static const zoo_entry rows[] = {
    ROW("bert-base-uncased", "bert bert-base google-bert/bert-base-uncased", "BERT base, uncased", 109482240,
        "google-bert/bert-base-uncased", 512, {30522, 768, 3072, 12, 512, 2, 12, 0, POOLER}),
    ROW("bert-large-uncased", "bert-large google-bert/bert-large-uncased", "BERT large, uncased", 335141888,
        "google-bert/bert-large-uncased", 512, {30522, 1024, 4096, 16, 512, 2, 24, 0, POOLER}),
    ROW("bert-base-cased", "google-bert/bert-base-cased", "BERT base, cased", 108310272, "google-bert/bert-base-cased",
        512, {28996, 768, 3072, 12, 512, 2, 12, 0, POOLER}),
    ROW("distilbert-base-uncased", "distilbert distilbert-base distilbert/distilbert-base-uncased",
        "DistilBERT base, uncased", 66362880, "distilbert/distilbert-base-uncased", 512,
        {30522, 768, 3072, 12, 512, 0, 6, 0, 0}),
    ROW("roberta-base", "roberta FacebookAI/roberta-base", "RoBERTa base", 124645632, "FacebookAI/roberta-base", 512,
        {50265, 768, 3072, 12, 514, 1, 12, 0, POOLER | OFFSET}),
    ROW("roberta-large", "FacebookAI/roberta-large", "RoBERTa large", 355359744, "FacebookAI/roberta-large", 512,
        {50265, 1024, 4096, 16, 514, 1, 24, 0, POOLER | OFFSET}),
    ROW("electra-small-discriminator", "electra-small google/electra-small-discriminator", "ELECTRA small", 13483008,
        "google/electra-small-discriminator", 512, {30522, 256, 1024, 4, 512, 2, 12, 128, 0}),
    ROW("electra-base-discriminator", "electra electra-base google/electra-base-discriminator", "ELECTRA base",
        108891648, "google/electra-base-discriminator", 512, {30522, 768, 3072, 12, 512, 2, 12, 0, 0}),
    ROW("electra-large-discriminator", "electra-large google/electra-large-discriminator", "ELECTRA large", 334092288,
        "google/electra-large-discriminator", 512, {30522, 1024, 4096, 16, 512, 2, 24, 0, 0}),
    ROW("albert-base-v2", "albert albert-base albert/albert-base-v2", "ALBERT base v2", 11683584,
        "albert/albert-base-v2", 512, {30000, 768, 3072, 12, 512, 2, 12, 128, POOLER | SHARED}),
    ROW("albert-large-v2", "albert-large albert/albert-large-v2", "ALBERT large v2", 17683968, "albert/albert-large-v2",
        512, {30000, 1024, 4096, 16, 512, 2, 24, 128, POOLER | SHARED}),
    ROW("albert-xlarge-v2", "albert-xlarge albert/albert-xlarge-v2", "ALBERT xlarge v2", 58724864,
        "albert/albert-xlarge-v2", 512, {30000, 2048, 8192, 16, 512, 2, 24, 128, POOLER | SHARED}),
    ROW("albert-xxlarge-v2", "albert-xxlarge albert/albert-xxlarge-v2", "ALBERT xxlarge v2", 222595584,
        "albert/albert-xxlarge-v2", 512, {30000, 4096, 16384, 64, 512, 2, 12, 128, POOLER | SHARED}),
    ROW("all-MiniLM-L6-v2", "minilm minilm-l6 sentence-transformers/all-MiniLM-L6-v2", "MiniLM, 6 layers", 22713216,
        "sentence-transformers/all-MiniLM-L6-v2", 512, {30522, 384, 1536, 12, 512, 2, 6, 0, POOLER}),
    ROW("all-MiniLM-L12-v2", "minilm-l12 sentence-transformers/all-MiniLM-L12-v2 microsoft/MiniLM-L12-H384-uncased",
        "MiniLM, 12 layers", 33360000, "sentence-transformers/all-MiniLM-L12-v2", 512,
        {30522, 384, 1536, 12, 512, 2, 12, 0, POOLER}),
    {.name = "electra-base-pretraining",
     .aliases = "electra-pretraining",
     .family = "transformer",
     .description = "ELECTRA base as in pre-training: generator and discriminator",
     .parameters = 119749121,
     .source = "https://github.com/NVIDIA/DeepLearningExamples: TensorFlow2/LanguageModeling/ELECTRA",
     .sequence = 128,
     .max_sequence = 512,
     .build = build_pretraining,
     .dims = ZOO_DIMS(bert_dims, {30522, 768, 3072, 12, 512, 2, 12, 0, 0})},
    DISTILLED("bert-distilled-4l-288d", "bert-4l-288d",
              "BERT distilled to 4 layers of 288 (NVIDIA), with its question answering head", 12937538,
              {30528, 288, 1152, 12, 512, 2, 4, 0, ANSWERS}),
    DISTILLED("bert-distilled-6l-768d", "bert-6l-768d",
              "BERT distilled to 6 layers of 768 (NVIDIA), with its question answering head", 66370562,
              {30528, 768, 3072, 12, 512, 2, 6, 0, ANSWERS}),
};

const zoo_table zoo_bert = ZOO_TABLE(rows);
