/* config.json of Hugging Face models: parameters against published ones, what is stored, graphs, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/language.h"
#include "graph/shape.h"
#include "load/load.h"
#include "support/heap.h"

static test_heap heap = {.fail_at = -1};

typedef struct model {
    arena a;
    graph g;
    pg_error e;
} model;

static pg_code read_text(model *m, const char *text)
{
    load_input in = {.path = "config.json", .bytes = {(const uint8_t *)text, strlen(text), 0}};
    memset(m, 0, sizeof *m);
    m->e = (pg_error)PG_ERROR_INIT;
    arena_init(&m->a, (allocator){heap_resize, &heap}, 0);
    assert_true(graph_init(&m->g, &m->a));
    const load_format *f = load_detect(&in, NULL, &m->e);
    if (!f) return m->e.code;
    assert_string_equal(f->name, "hugging-face");
    return f->load(&m->g, &in, &(load_options){.format = NULL}, &m->e);
}

static void open_text(model *m, const char *name, const char *text)
{
    if (read_text(m, text)) fail_msg("%s: %s", name, m->e.text);
}

static double weights_of(const graph *g)
{
    double total = 0;
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const tensor *t = &g->tensors[i];
        if (t->role != ROLE_WEIGHT || t->dtype == DT_INT64) continue;
        double n = 1;
        for (int d = 0; d < t->rank; d++) n *= (double)t->dims[d].v.i;
        total += n;
    }
    return total;
}

static void infer(model *m, const char *name, int64_t sequence)
{
    shapes s;
    int64_t binding[2] = {2, sequence};
    if (shapes_infer(&s, &m->g, &(shape_options){.binding = binding}, &m->a, &m->e) != PG_E_OK)
        fail_msg("%s: %s: %s", name, m->e.path, m->e.text);
    for (uint32_t i = 0; i < m->g.n_ops; i++) {
        const op *o = &m->g.ops[i];
        for (uint32_t k = 0; k < o->n_out; k++)
            if (shape_elements(&s.t[op_out(&m->g, o)[k]]) < 0 && o->kind != OP_TopK)
                fail_msg("%s: the shape of %.*s is not known", name, STR_ARG(o->name));
    }
}

typedef struct published {
    const char *name;
    double parameters, active, allowed;
    const char *config;
} published;

#define R(...) #__VA_ARGS__
static const published all[] = {
#define PUBLISHED(name, parameters, active, allowed, config) {name, parameters, active, allowed, config},
#include "hf_published.inc"
#undef PUBLISHED
};

enum { ALL = sizeof all / sizeof *all };

static void test_published(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < ALL; i++) {
        model m;
        open_text(&m, all[i].name, all[i].config);
        const language_model *l = m.g.language;
        double off = l->parameters / all[i].parameters - 1, active = l->active_parameters / 1e9;
        bool bad = !(off >= -all[i].allowed && off <= all[i].allowed);
        double tables = (l->tied ? 1 : 2) * (double)(l->vocab * l->hidden) / 1e9; /* some cards leave them out */
        if (all[i].active > 0)
            bad = bad ||
                  (fabs(active / all[i].active - 1) > 0.02 && fabs((active - tables) / all[i].active - 1) > 0.02);
        if (bad)
            printf("%s: %.0f parameters, not %.0f (%+.3f %%); %.3f billion active, not %.2f\n", all[i].name,
                   l->parameters, all[i].parameters, 100 * off, active, all[i].active);
        wrong += bad;
        arena_free(&m.a);
    }
    assert_int_equal(wrong, 0);
}

/* The graph holds what the dimensions count, and all its shapes are known. */
static void test_graphs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        model m;
        open_text(&m, all[i].name, all[i].config);
        const language_model *l = m.g.language;
        double have = weights_of(&m.g), off = have / l->parameters - 1;
        if (off < -0.01 || off > 1e-4) /* Gemma 3n: what is counted and not put into the graph */
            fail_msg("%s: %.0f in the graph, %.0f by its dimensions", all[i].name, have, l->parameters);
        infer(&m, all[i].name, 48);
        arena_free(&m.a);
    }
}

/* ---- what is stored ---- */

#define LLAMA(more)                                                                                                    \
    "{\"model_type\": \"llama\", \"hidden_size\": 256, \"intermediate_size\": 512, \"num_hidden_layers\": 2, "         \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"vocab_size\": 1000, \"torch_dtype\": \"bfloat16\"" more \
    "}"
#define QUANT(what) LLAMA(", \"quantization_config\": {" what "}")

static void test_quantization(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        double linear, output;
        bool activations;
        dtype cache;
    } cases[] = {
        {LLAMA(""), 0, 0, false, DT_UNKNOWN},
        {QUANT("\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 128"), 4 + 20.0 / 128, 16, false, DT_UNKNOWN},
        {QUANT("\"quant_method\": \"gptq\", \"bits\": 8, \"group_size\": -1"), 8, 16, false, DT_UNKNOWN},
        {QUANT("\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 32, \"lm_head\": true"), 4 + 20.0 / 32,
         4 + 20.0 / 32, false, DT_UNKNOWN},
        {QUANT("\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 64"), 4 + 20.0 / 64, 16, false, DT_UNKNOWN},
        {QUANT("\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128]"), 8 + 32.0 / 16384, 16, true, DT_UNKNOWN},
        {QUANT("\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true, \"bnb_4bit_use_double_quant\": true"),
         4 + 8.0 / 64 + 32.0 / 16384, 16, false, DT_UNKNOWN},
        {QUANT("\"quant_method\": \"bitsandbytes\", \"load_in_8bit\": true"), 8, 16, true, DT_UNKNOWN},
        {QUANT("\"quant_method\": \"modelopt\", \"quant_algo\": \"NVFP4\", \"kv_cache_quant_algo\": \"FP8\""), 4.5, 16,
         true, DT_FP8E4M3},
        {QUANT("\"quant_method\": \"modelopt\", \"quant_algo\": \"FP8\""), 8, 16, true, DT_UNKNOWN},
        {QUANT(
             "\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", \"ignore\": [\"lm_head\"], "
             "\"config_groups\": {\"group_0\": {\"weights\": {\"num_bits\": 4, \"type\": \"int\", \"group_size\": 128}}}"),
         4.125, 16, false, DT_UNKNOWN},
        {QUANT(
             "\"quant_method\": \"compressed-tensors\", \"format\": \"float-quantized\", "
             "\"config_groups\": {\"group_0\": {\"weights\": {\"num_bits\": 8, \"type\": \"float\"}, "
             "\"input_activations\": {\"num_bits\": 8}}}, \"kv_cache_scheme\": {\"num_bits\": 8, \"type\": \"float\"}"),
         8, 16, true, DT_FP8E4M3},
        {QUANT("\"quant_method\": \"aqlm\", \"num_codebooks\": 1, \"nbits_per_codebook\": 16, \"in_group_size\": 8, "
               "\"out_group_size\": 1"),
         2, 16, false, DT_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model m;
        open_text(&m, "quantised", cases[i].config);
        const language_model *l = m.g.language;
        if (fabs(l->linear_bits - cases[i].linear) > 1e-9 || fabs(l->output_bits - cases[i].output) > 1e-9 ||
            l->quantized_activations != cases[i].activations || l->kv_cache != cases[i].cache)
            fail_msg("case %zu: %g and %g bits, activations %d, cache %d", i, l->linear_bits, l->output_bits,
                     l->quantized_activations, (int)l->kv_cache);
        arena_free(&m.a);
    }
}

/* Only the experts of gpt-oss are quantised. */
static void test_experts_alone(void **state)
{
    (void)state;
    model m;
    open_text(
        &m, "gpt-oss",
        "{\"model_type\": \"gpt_oss\", \"hidden_size\": 2880, \"intermediate_size\": 2880, \"num_hidden_layers\": 24, "
        "\"num_attention_heads\": 64, \"num_key_value_heads\": 8, \"head_dim\": 64, \"num_local_experts\": 32, "
        "\"num_experts_per_tok\": 4, \"sliding_window\": 128, \"vocab_size\": 201088, \"quantization_config\": "
        "{\"quant_method\": \"mxfp4\", \"modules_to_not_convert\": [\"model.layers.*.self_attn\", \"lm_head\"]}}");
    const language_model *l = m.g.language;
    assert_true(l->expert_bits == 4.25 && l->linear_bits == 16 && l->output_bits == 16);
    assert_int_equal(l->n_layers, 2); /* every other layer sees a window */
    assert_true(l->layers[0].window == 128 && l->layers[1].window == 0 && l->layers[0].sinks);
    /* The repository's three files have 13.76 GB. */
    assert_true(fabs(lm_weight_bytes(l) / 13.76e9 - 1) < 0.01);
    arena_free(&m.a);
}

/* ---- what must be refused, by name and value ---- */

#define LONGFORMER(window)                                                                                               \
    "{\"model_type\": \"longformer\", \"hidden_size\": 256, \"intermediate_size\": 512, \"num_hidden_layers\": 2, "      \
    "\"num_attention_heads\": 4, \"vocab_size\": 1000, \"max_position_embeddings\": 4098, \"attention_window\": " window \
    "}"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *words;
    } cases[] = {
        {"{\"model_type\": \"wonder\"}", "'model_type' is 'wonder', whose layers are not known"},
        {"{\"architectures\": [\"X\"]}", "'model_type' is missing"},
        {"[\"model_type\"]", "the file holds no object"},
        {"{\"model_type\": \"llama\"}", "'hidden_size' is missing; a model of type 'llama' has one"},
        {LLAMA(", \"num_hidden_layers\": -3"), "'num_hidden_layers' is -3; it must be between 1 and 1024"},
        {LLAMA(", \"hidden_size\": \"big\""), "'hidden_size' is \"big\", not a whole number"},
        {LLAMA(", \"hidden_size\": 256.5"), "'hidden_size' is 256.5, not a whole number"},
        {LLAMA(", \"hidden_size\": NaN"), "'hidden_size' is 0; it must be between"},
        {LLAMA(", \"num_attention_heads\": 7"), "'num_attention_heads' 7 is not a multiple of 'num_key_value_heads' 2"},
        {LLAMA(", \"num_attention_heads\": 6"), "'hidden_size' 256 is not a multiple of 'num_attention_heads' 6"},
        {LLAMA(", \"tie_word_embeddings\": \"yes\""), "'tie_word_embeddings' is \"yes\"; it must be true or false"},
        {LLAMA(", \"rope_theta\": -1"), "'rope_theta' is -1; it must be a number between"},
        {LLAMA(", \"model_type\": \"mixtral\", \"num_local_experts\": 1000000000000, \"num_experts_per_tok\": 2"),
         "'num_local_experts' is 1000000000000; it must be between 1 and 65536"},
        {LLAMA(", \"model_type\": \"mixtral\", \"num_local_experts\": 8, \"num_experts_per_tok\": 9"),
         "a token takes 9 of 8 experts"},
        {LLAMA(", \"model_type\": \"nemotron_h\", \"hybrid_override_pattern\": \"M\""),
         "describes 1 layers, 'num_hidden_layers' is 2"},
        {LLAMA(", \"model_type\": \"nemotron_h\", \"hybrid_override_pattern\": \"?-\""), "has '?' as layer 0"},
        {LLAMA(", \"layer_types\": [\"full_attention\"]"), "'layer_types' has 1 entries; the model has 2 layers"},
        {QUANT("\"quant_method\": \"magic\""), "quantization method 'magic' is not known"},
        {QUANT("\"bits\": 4"), "'quantization_config.quant_method' is missing"},
        {QUANT("\"quant_method\": \"gptq\", \"bits\": 4000"), "'quantization_config.bits' must be a whole number"},
        {"{\"model_type\": \"gemma3\", \"text_config\": {\"model_type\": \"gemma3_text\", \"hidden_size\": 7.5}}",
         "'text_config.hidden_size' is 7.5"},
        {"{\"model_type\": \"siglip\", \"text_config\": {\"model_type\": \"siglip_text_model\"}}",
         "'text_config.model_type' is 'siglip_text_model'"},
        {LONGFORMER("511"), "'attention_window' must be an even whole number"},
        {LONGFORMER("[512]"), "or one for each of the 2 layers"},
        {LONGFORMER("[512, 1e9]"), "'attention_window' must be an even whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model m;
        if (!read_text(&m, cases[i].config)) fail_msg("case %zu is taken: %s", i, cases[i].config);
        if (!strstr(m.e.text, cases[i].words)) fail_msg("case %zu: '%s' is not in: %s", i, cases[i].words, m.e.text);
        arena_free(&m.a);
    }
}

/* Windows that differ by layer: texts are padded to the largest, and come out as long as they went in. */
static void test_sliding(void **state)
{
    (void)state;
    model m;
    open_text(&m, "longformer", LONGFORMER("[64, 256]"));
    const language_model *l = m.g.language;
    assert_true(l->n_layers == 2 && l->layers[0].window == 64 && l->layers[1].window == 256);
    static const int64_t lengths[] = {1, 255, 256, 257, 4000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        shapes s;
        int64_t binding[2] = {3, lengths[i]};
        assert_int_equal(shapes_infer(&s, &m.g, &(shape_options){.binding = binding}, &m.a, &m.e), PG_E_OK);
        const tensor_shape *out = &s.t[m.g.regions[0].outputs[0]];
        assert_true(out->rank == 3 && out->dims[0].v.i == 3 && out->dims[1].v.i == lengths[i] &&
                    out->dims[2].v.i == 256);
        int64_t whole = (lengths[i] + 255) / 256 * 256, wide[2] = {0, 0};
        for (uint32_t k = 0; k < m.g.n_ops;
             k++) /* every token has a row of scores: one global token, the window and itself */
            if (m.g.ops[k].kind == OP_Softmax && wide[1] == 0) {
                const tensor_shape *rows = &s.t[op_out(&m.g, &m.g.ops[k])[0]];
                if (rows->dims[2].v.i != whole) continue;
                wide[wide[0] != 0] = rows->dims[3].v.i;
            }
        assert_true(wide[0] == 1 + 65 && wide[1] == 1 + 257);
    }
    arena_free(&m.a);
}

/* The text part is sized, the rest said, and so is what was left out and assumed. */
static void test_nested(void **state)
{
    (void)state;
    model m;
    open_text(
        &m, "gemma-3-4b",
        "{\"model_type\": \"gemma3\", \"text_config\": {\"model_type\": \"gemma3_text\", \"hidden_size\": 2560, "
        "\"intermediate_size\": 10240, \"num_hidden_layers\": 34, \"sliding_window\": 1024}, \"vision_config\": {}}");
    bool said = false, assumed = false;
    for (uint32_t i = 0; i < m.g.n_warnings; i++) {
        said = said || strstr(m.g.warnings[i].ptr, "also describes vision_config");
        assumed = assumed || strstr(m.g.warnings[i].ptr, "leaves out 'text_config.num_attention_heads'; taken as 8");
    }
    assert_true(said && assumed);
    assert_true(m.g.language->layers[0].window == 1024 && m.g.language->layers[0].count == 29);
    arena_free(&m.a);
}

static void test_vit(void **state)
{
    (void)state;
    model m;
    open_text(
        &m, "vit",
        "{\"model_type\": \"vit\", \"architectures\": [\"ViTModel\"], \"hidden_size\": 768, \"intermediate_size\": 3072, "
        "\"num_hidden_layers\": 12, \"num_attention_heads\": 12, \"image_size\": 224, \"patch_size\": 16}");
    assert_null(m.g.language);
    assert_true(weights_of(&m.g) == 85798656); /* timm's vit_base_patch16_224 without its head */
    arena_free(&m.a);
}

/* A repository's own configuration files, where they are there. */
static void test_conformance(void **state)
{
    (void)state;
    static const struct {
        const char *folder;
        double parameters;
    } files[] = {
        {"MiniMaxAI--MiniMax-M2.5", 228689764864},
        {"Qwen--Qwen3-0.6B", 596049920},
        {"Qwen--Qwen3-30B-A3B", 30532122624},
        {"Qwen--Qwen3-32B-FP8", 32762123264},
        {"Qwen--Qwen3-8B", 8190735360},
        {"deepseek-ai--DeepSeek-R1", 671026419200},
        {"meta-llama--Llama-4-Maverick-17B-128E-Instruct", 400711848960},
        {"meta-llama--Meta-Llama-3.1-70B", 70553706496},
        {"meta-llama--Meta-Llama-3.1-8B", 8030261248},
        {"mistralai--Mixtral-8x7B-v0.1", 46702792704},
        {"nvidia--Llama-3.1-70B-Instruct-FP8", 70553706496},
        {"nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 31577940288},
        {"openai--gpt-oss-20b", 20914757184},
        {"zai-org--GLM-5", 743911218432},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        static char text[1 << 16];
        model m;
        snprintf(path, sizeof path, TEST_ROOT "/../shared/models/hf/%s/config.json", files[i].folder);
        FILE *f = fopen(path, "rb");
        if (!f) skip();
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        fclose(f);
        open_text(&m, files[i].folder, text);
        if (m.g.language->parameters != files[i].parameters)
            fail_msg("%s: %.0f parameters, not %.0f", files[i].folder, m.g.language->parameters, files[i].parameters);
        infer(&m, files[i].folder, 64);
        arena_free(&m.a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),     cmocka_unit_test(test_graphs),  cmocka_unit_test(test_quantization),
        cmocka_unit_test(test_experts_alone), cmocka_unit_test(test_refused), cmocka_unit_test(test_sliding),
        cmocka_unit_test(test_nested),        cmocka_unit_test(test_vit),     cmocka_unit_test(test_conformance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
