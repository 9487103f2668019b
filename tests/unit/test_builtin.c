/* Built-in models that are a published configuration: parameters, shapes, names, lack of memory. */
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
#include "load/builtin.h"
#include "support/heap.h"

static test_heap heap = {.fail_at = -1};

typedef struct model {
    arena a;
    graph g;
} model;

static void open_model(model *m, const char *name)
{
    pg_error e = PG_ERROR_INIT;
    const zoo_entry *z = zoo_find(str_c(name), &e);
    if (!z) fail_msg("%s: %s", name, e.text);
    arena_init(&m->a, (allocator){heap_resize, &heap}, 0);
    assert_true(graph_init(&m->g, &m->a));
    if (load_builtin(&m->g, z, NULL, &e) != PG_E_OK) fail_msg("%s: %s", name, e.text);
}

/* ---- published figures ---- */

/* Parameters as the index of the safetensors files on the Hub adds up to, or where that holds more or less than the text model
 * (vision towers, tables stored twice, layers that predict further tokens), as the model's card has them; active ones, in units of
 * 1e9, from the card or the paper. Those of Gemma 3 are the files' less the vision tower and its projection. */
static const struct published {
    const char *name;
    double parameters, active;
} published[] = {
    /* Llama and what is built as it is */
    {"llama-3.2-1b", 1235814400, 0},
    {"llama-3.2-3b", 3212749824, 0},
    {"llama-3.3-70b", 70553706496, 0},
    {"llama-3.1-8b-fp8", 8030261248, 0},
    {"llama-3.1-70b-fp8", 70553706496, 0},
    {"llama-3.1-405b-fp8", 405853388800, 0},
    {"llama-4-scout", 107769861120, 17.2},
    {"llama-4-maverick", 400.7e9, 17.2},
    {"codellama-7b", 6738546688, 0},
    {"codellama-13b", 13016028160, 0},
    {"open_llama_3b", 3426473600, 0},
    {"yi-6b", 6061035520, 0},
    {"yi-9b", 8829407232, 0},
    {"yi-34b", 34388917248, 0},
    {"solar-10.7b", 10731524096, 0},
    {"deepseek-llm-7b", 6910365696, 0},
    {"deepseek-coder-6.7b", 6740512768, 0},
    {"deepseek-coder-33b", 33342991360, 0},
    {"smollm2-135m", 134515008, 0},
    {"smollm2-360m", 361821120, 0},
    {"smollm2-1.7b", 1711376384, 0},
    {"smollm3-3b", 3075098624, 0},
    /* Mistral */
    {"mistral-7b-v0.2", 7241732096, 0},
    {"mistral-7b-v0.3", 7248023552, 0},
    {"ministral-8b", 8019808256, 0},
    {"mistral-nemo-12b", 12247782400, 0},
    {"mistral-small-22b", 22247282688, 0},
    {"mistral-small-24b", 23572403200, 0},
    {"mistral-large-123b", 122610069504, 0},
    {"mixtral-8x7b", 46702792704, 12.9},
    {"mixtral-8x22b", 140620634112, 39.15},
    {"mixtral-8x22b-v0.3", 140630071296, 39.16},
    /* Qwen */
    {"qwen2.5-0.5b", 494032768, 0},
    {"qwen2.5-1.5b", 1543714304, 0},
    {"qwen2.5-3b", 3085938688, 0},
    {"qwen2.5-7b", 7615616512, 0},
    {"qwen2.5-14b", 14770033664, 0},
    {"qwen2.5-32b", 32763876352, 0},
    {"qwen2.5-72b", 72706203648, 0},
    {"qwen1.5-moe-a2.7b", 14315784192, 2.69},
    {"qwen3-0.6b", 596049920, 0},
    {"qwen3-1.7b", 1720574976, 0},
    {"qwen3-4b", 4022468096, 0},
    {"qwen3-4b-2507", 4022468096, 0},
    {"qwen3-8b", 8190735360, 0},
    {"deepseek-r1-0528-qwen3-8b", 8190735360, 0},
    {"qwen3-14b", 14768307200, 0},
    {"qwen3-32b", 32762123264, 0},
    {"qwen3-32b-fp8", 32762123264, 0},
    {"qwen3-32b-nvfp4", 32762123264, 0},
    {"qwen3-30b-a3b", 30532122624, 3.35},
    {"qwen3-30b-a3b-2507", 30532122624, 3.35},
    {"qwen3-30b-a3b-fp8", 30532122624, 3.35},
    {"qwen3-30b-a3b-2507-fp8", 30532122624, 3.35},
    {"qwen3-235b-a22b", 235093634560, 22.1},
    {"qwen3-235b-a22b-2507", 235093634560, 22.1},
    {"qwen3-235b-a22b-fp8", 235093634560, 22.1},
    {"qwen3-235b-a22b-2507-fp8", 235093634560, 22.1},
    {"qwen3-coder-480b-a35b", 480154875392, 35.0},
    {"qwen3-next-80b-a3b", 79674391296, 3.9},
    {"qwen3.5-397b-a17b", 397e9, 17.0},
    /* DeepSeek, with latent attention, and Kimi and GLM */
    {"deepseek-v2-lite", 15706484224, 2.66},
    {"deepseek-v2", 235741434880, 21.4},
    {"deepseek-v3", 671026419200, 37.0},
    {"deepseek-v3-nvfp4", 671026419200, 37.0},
    {"deepseek-r1", 671026419200, 37.0},
    {"deepseek-r1-nvfp4", 671026419200, 37.0},
    {"deepseek-moe-16b", 16375728128, 2.83},
    {"kimi-k2", 1026408232448, 32.9},
    {"glm-5", 744e9, 40.0},
    {"glm-4-9b", 9399951360, 0},
    {"glm-4-32b", 32566081536, 0},
    {"glm-4.5-air", 106852257280, 12.2},
    /* OpenAI, Google, Microsoft, MiniMax and others */
    {"gpt-oss-20b", 20914757184, 3.61},
    {"gpt-oss-120b", 116829156672, 5.13},
    {"minimax-m2.5", 228.7e9, 10.0},
    {"gemma-2b", 2506172416, 0},
    {"gemma-7b", 8537680896, 0},
    {"gemma-2-2b", 2614341888, 0},
    {"gemma-2-9b", 9241705984, 0},
    {"gemma-2-27b", 27227128320, 0},
    {"gemma-3-1b", 999885952, 0},
    {"gemma-3-4b", 3880263168, 0},
    {"gemma-3-12b", 11766034176, 0},
    {"gemma-3-27b", 27009346304, 0},
    {"phi-3-mini", 3821079552, 0},
    {"phi-3-mini-128k", 3821079552, 0},
    {"phi-3-medium", 13960238080, 0},
    {"phi-3-medium-128k", 13960238080, 0},
    {"phi-3.5-moe", 41873153344, 6.6},
    {"phi-4", 14659507200, 0},
    {"phi-4-mini", 3836021760, 0},
    {"falcon-7b", 6921720704, 0},
    {"falcon-40b", 41303293952, 0},
    {"pythia-70m", 70426624, 0},
    {"pythia-160m", 162322944, 0},
    {"pythia-410m", 405334016, 0},
    {"pythia-1b", 1011781632, 0},
    {"pythia-1.4b", 1414647808, 0},
    {"pythia-2.8b", 2775208960, 0},
    {"pythia-6.9b", 6857302016, 0},
    {"pythia-12b", 11846072320, 0},
    {"gpt-neox-20b", 20554567680, 0},
    {"bloom-176b", 176247271424, 0},
    {"dbrx", 131596523520, 36.5},
    {"starcoder2-3b", 3030371328, 0},
    {"starcoder2-7b", 7173923840, 0},
    {"starcoder2-15b", 15957889024, 0},
    {"command-r", 34980831232, 0},
    {"command-r-plus", 103810674688, 0},
    {"internlm2-7b", 7737708544, 0},
    {"baichuan2-7b", 7505973248, 0},
    {"stablelm-2-1.6b", 1644515328, 0},
    {"olmo-2-7b", 7298617344, 0},
    {"olmo-2-13b", 13716198400, 0},
    {"olmoe-1b-7b", 6919161856, 1.28},
    /* State spaces and mixtures with attention */
    {"mamba-2.8b", 2768345600, 0},
    {"falcon-mamba-7b", 7272665088, 0},
    {"jamba-v0.1", 51570323328, 12.1},
    {"nemotron-3-nano-30b-a3b", 31.6e9, 3.6},
    /* Encoders */
    {"longformer-base-4096", 148659456, 0},
    {"longformer-large-4096", 434600960, 0},
    {"xlm-roberta-base", 278043648, 0},
    {"xlm-roberta-large", 559890432, 0},
    {"bge-m3", 567754752, 0},
    {"modernbert-base", 149014272, 0},
};
enum { PUBLISHED = sizeof published / sizeof *published };

/* Within 0.5 %, or half of the last digit that was published; some count the table of embeddings or the output layer, some don't. */
static bool active_fits(const language_model *m, double told)
{
    double table = (double)(m->vocab * m->hidden) / 1e9, half = 0.5;
    while (fabs(remainder(told, 2 * half)) > 1e-6) half /= 10;
    for (int without = 0; without <= 2; without++)
        if (fabs(m->active_parameters / 1e9 - without * table - told) <= fmax(0.005 * told, half)) return true;
    return false;
}

static void test_parameters(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < PUBLISHED; i++) {
        const struct published *p = &published[i];
        model m;
        open_model(&m, p->name);
        const language_model *l = m.g.language;
        bool exact = fmod(p->parameters, 1e6) != 0;
        double off = fabs(l->parameters / p->parameters - 1);
        bool bad = exact ? off > 0 : off > 0.005;
        if (bad || (p->active > 0 ? !active_fits(l, p->active) : l->active_parameters != l->parameters)) {
            print_error("%s: %.0f parameters, published are %.0f (%.3f %%); %.3f billion active, published %.2f\n",
                        p->name, l->parameters, p->parameters, 100 * off, l->active_parameters / 1e9, p->active);
            wrong++;
        }
        arena_free(&m.a);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(heap.live, 0);
}

/* Every configuration is in the list above, and says of itself what it is. */
static void test_table(void **state)
{
    (void)state;
    size_t all = 0;
    for (size_t i = 0; i < zoo_count(); i++) {
        const zoo_entry *z = zoo_at(i);
        if (!z->config) continue;
        const struct published *p = published;
        while (p < published + PUBLISHED && strcmp(p->name, z->name) != 0) p++;
        if (p == published + PUBLISHED) fail_msg("%s has no published figure in this test", z->name);
        assert_true((double)z->parameters == p->parameters);
        model m;
        open_model(&m, z->name);
        assert_string_equal(m.g.name.ptr, z->name);
        assert_int_equal(zoo_build(&m.g, z, NULL, NULL), PG_E_GRAPH);
        assert_true(str_is(m.g.format, "built-in") && str_is(m.g.family, "transformer"));
        if (m.g.n_warnings) fail_msg("%s: %.*s", z->name, STR_ARG(m.g.warnings[0]));
        assert_true(m.g.language->weights != DT_UNKNOWN);
        arena_free(&m.a);
        all++;
    }
    assert_int_equal(all, PUBLISHED);
}

/* The graph holds what the dimensions count, and all its shapes are known. */
static void test_graphs(void **state)
{
    (void)state;
    for (size_t i = 0; i < PUBLISHED; i++) {
        model m;
        pg_error e = PG_ERROR_INIT;
        int64_t binding[2] = {2, 48};
        shapes s;
        double have = 0;
        open_model(&m, published[i].name);
        for (uint32_t t = 0; t < m.g.n_tensors; t++) {
            const tensor *x = &m.g.tensors[t];
            double n = x->role == ROLE_WEIGHT && x->dtype != DT_INT64;
            for (int d = 0; d < x->rank && n > 0; d++) n *= (double)x->dims[d].v.i;
            have += n;
        }
        if (fabs(have / m.g.language->parameters - 1) > 1e-4)
            fail_msg("%s: %.0f in the graph, %.0f by its dimensions", published[i].name, have,
                     m.g.language->parameters);
        if (shapes_infer(&s, &m.g, &(shape_options){.binding = binding}, &m.a, &e) != PG_E_OK)
            fail_msg("%s: %s: %s", published[i].name, e.path, e.text);
        assert_int_equal(s.unknown_outputs, 0);
        arena_free(&m.a);
    }
}

static void test_stored(void **state)
{
    (void)state;
    static const struct {
        const char *name, *quantization;
        double linear, expert;
    } cases[] = {{"qwen3-32b", NULL, 0, 0},
                 {"Qwen/Qwen3-32B-FP8", "fp8", 8 + 32.0 / 16384, 8 + 32.0 / 16384},
                 {"nvidia/Qwen3-32B-NVFP4", "NVFP4", 4.5, 4.5},
                 {"openai/gpt-oss-20b", "mxfp4", 16, 4.25},
                 {"nvidia/DeepSeek-R1-NVFP4", "NVFP4", 16, 4.5},
                 {"deepseek-ai/DeepSeek-R1", "fp8", 8 + 32.0 / 16384, 8 + 32.0 / 16384}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model m;
        open_model(&m, cases[i].name);
        const language_model *l = m.g.language;
        if (cases[i].quantization) assert_string_equal(l->quantization, cases[i].quantization);
        else assert_null(l->quantization);
        assert_true(l->linear_bits == cases[i].linear && l->expert_bits == cases[i].expert);
        arena_free(&m.a);
    }
}

/* ---- names ---- */

static void expect_found(const char *typed, const char *name)
{
    pg_error e = PG_ERROR_INIT;
    const zoo_entry *z = zoo_find(str_c(typed), &e);
    if (!z) fail_msg("%s: %s", typed, e.text);
    if (strcmp(z->name, name) != 0) fail_msg("%s is %s, not %s", typed, z->name, name);
}

static void test_names(void **state)
{
    (void)state;
    /* as measurements name them */
    expect_found("mistralai/Mixtral-8x7B-v0.1", "mixtral-8x7b");
    expect_found("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b");
    expect_found("mistralai/Mixtral-8x22B-v0.1", "mixtral-8x22b");
    expect_found("Qwen/Qwen3-30B-A3B", "qwen3-30b-a3b");
    expect_found("Qwen/Qwen3-235B-A22B", "qwen3-235b-a22b");
    expect_found("Qwen/Qwen3-235B-A22B-FP8", "qwen3-235b-a22b-fp8");
    expect_found("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama-4-scout");
    expect_found("deepseek-ai/DeepSeek-R1", "deepseek-r1");
    expect_found("deepseek-ai/DeepSeek-V3", "deepseek-v3");
    expect_found("nvidia/DeepSeek-V3.1-NVFP4", "deepseek-v3-nvfp4");
    expect_found("openai/gpt-oss-20b", "gpt-oss-20b");
    expect_found("openlm-research/open_llama_3b", "open_llama_3b");
    expect_found("MiniMaxAI/MiniMax-M2.5", "minimax-m2.5");
    expect_found("zhipuai/GLM-5", "glm-5");
    expect_found("Qwen/Qwen3.5-397B-A17B", "qwen3.5-397b-a17b");
    expect_found("meta-llama/Meta-Llama-3.1-70B", "llama-3.1-70b");
    /* without the owner, which counts less than any name as it stands */
    expect_found("Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b-2507");
    expect_found("Llama-3.2-1B-Instruct", "llama-3.2-1b");
    expect_found("Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b");
    expect_found("gemma-3-27b-it", "gemma-3-27b");
    expect_found("bart-large", "bart-large");
    assert_null(zoo_find(STR("somebody/Qwen3-8B"), NULL));
    assert_null(zoo_find(STR("Qwen/"), NULL));
}

/* ---- lack of memory ---- */

static void test_lack_of_memory(void **state)
{
    (void)state;
    static const char *const some[] = {"smollm2-135m", "qwen3-30b-a3b-fp8", "deepseek-v2-lite", "jamba-v0.1"};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        for (long at = 0;; at++) {
            pg_error e = PG_ERROR_INIT;
            test_heap h = {.fail_at = at};
            model m;
            arena_init(&m.a, (allocator){heap_resize, &h}, 0);
            pg_code code = PG_E_NOMEM;
            if (graph_init(&m.g, &m.a)) code = load_builtin(&m.g, zoo_find(str_c(some[i]), NULL), NULL, &e);
            assert_true(code == PG_E_OK || code == PG_E_NOMEM);
            arena_free(&m.a);
            assert_int_equal(h.live, 0);
            if (code == PG_E_OK) break;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_table), cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_stored),     cmocka_unit_test(test_names), cmocka_unit_test(test_lack_of_memory),
    };
    return cmocka_run_group_tests_name("builtin", tests, NULL, NULL);
}
