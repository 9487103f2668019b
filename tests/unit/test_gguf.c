/* GGUF and safetensors files made here, header by header: what they hold, against the same model as a config.json. */
#define _GNU_SOURCE
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "graph/language.h"
#include "load/load.h"
#include "support/heap.h"

/* ---- a writer ---- */

typedef struct out {
    unsigned char bytes[1 << 18];
    size_t n;
} out;

static void put(out *o, const void *p, size_t n)
{
    assert_true(o->n + n <= sizeof o->bytes);
    memcpy(o->bytes + o->n, p, n);
    o->n += n;
}

static void put32(out *o, uint32_t v)
{
    put(o, &v, 4); /* tests run on little-endian machines */
}

static void put64(out *o, uint64_t v)
{
    put(o, &v, 8);
}

static void put_text(out *o, const char *s)
{
    put64(o, strlen(s));
    put(o, s, strlen(s));
}

static void meta_text(out *o, const char *key, const char *v)
{
    put_text(o, key);
    put32(o, 8);
    put_text(o, v);
}

static void meta_number(out *o, const char *key, uint32_t v)
{
    put_text(o, key);
    put32(o, 4);
    put32(o, v);
}

typedef struct packed {
    uint32_t type, block, bytes;
} packed;

static const packed F32 = {0, 1, 4}, Q4_K = {12, 256, 144}, Q6_K = {14, 256, 210};

typedef struct tensors {
    out *o;
    uint64_t at, count;
    double elements;
} tensors;

static void tensor_of(tensors *t, packed p, const char *name, uint64_t a, uint64_t b)
{
    put_text(t->o, name);
    put32(t->o, b ? 2 : 1);
    put64(t->o, a);
    if (b) put64(t->o, b);
    put32(t->o, p.type);
    put64(t->o, t->at);
    uint64_t n = a * (b ? b : 1);
    t->at += (n / p.block * p.bytes + 31) / 32 * 32;
    t->elements += (double)n;
    t->count++;
}

enum { LAYERS = 22, WIDTH = 2048, FFN = 5632, HEADS = 32, KV = 4, VOCAB = 32000 };

static void layer_tensors(tensors *t, int i)
{
    static const struct {
        const char *name;
        uint64_t a, b;
        bool wide;
    } parts[] = {{"attn_norm", WIDTH, 0, true},
                 {"attn_q", WIDTH, WIDTH, false},
                 {"attn_k", WIDTH, WIDTH / HEADS * KV, false},
                 {"attn_v", WIDTH, WIDTH / HEADS * KV, false},
                 {"attn_output", WIDTH, WIDTH, false},
                 {"ffn_norm", WIDTH, 0, true},
                 {"ffn_gate", WIDTH, FFN, false},
                 {"ffn_up", WIDTH, FFN, false},
                 {"ffn_down", FFN, WIDTH, false}};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", i, parts[k].name);
        tensor_of(t, parts[k].wide ? F32 : Q4_K, name, parts[k].a, parts[k].b);
    }
}

/* TinyLlama's dimensions as Q4_K with an output layer of Q6_K; the layers from `from` to `to`, and the rest with the first. */
static void write_llama(out *o, int from, int to, uint32_t parts, uint32_t part, uint64_t *data, tensors *t)
{
    bool first = from == 0;
    uint64_t n = 9 * (uint64_t)(to - from) + (first ? 3 : 0);
    o->n = 0;
    put(o, "GGUF", 4);
    put32(o, 3);
    put64(o, n);
    put64(o, parts > 1 ? 13 : 11);
    meta_text(o, "general.architecture", "llama");
    meta_number(o, "general.file_type", 15);
    meta_number(o, "llama.block_count", LAYERS);
    meta_number(o, "llama.embedding_length", WIDTH);
    meta_number(o, "llama.feed_forward_length", FFN);
    meta_number(o, "llama.context_length", 2048);
    meta_number(o, "llama.attention.head_count", HEADS);
    meta_number(o, "llama.attention.head_count_kv", KV);
    meta_number(o, "llama.rope.dimension_count", WIDTH / HEADS);
    meta_number(o, "llama.attention.layer_norm_rms_epsilon", 0);
    meta_number(o, "llama.vocab_size", VOCAB);
    if (parts > 1) {
        meta_number(o, "split.count", parts);
        meta_number(o, "split.no", part);
    }
    t->o = o;
    t->at = t->count = 0;
    if (first) {
        tensor_of(t, Q4_K, "token_embd.weight", WIDTH, VOCAB);
        tensor_of(t, F32, "output_norm.weight", WIDTH, 0);
        tensor_of(t, Q6_K, "output.weight", WIDTH, VOCAB);
    }
    for (int i = from; i < to; i++) layer_tensors(t, i);
    assert_int_equal(t->count, n);
    *data = (o->n + 31) / 32 * 32 + t->at;
}

/* A file of its true size whose data are a hole. */
static void save(const char *folder, const char *name, const void *bytes, size_t n, uint64_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    if (size > n) assert_int_equal(truncate(path, (off_t)size), 0);
}

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/phantom-weights-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static void drop(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    remove(path);
}

static int drop_folder(void **state)
{
    static const char *const names[] = {"tiny.gguf",
                                        "config.json",
                                        "tiny-00001-of-00002.gguf",
                                        "tiny-00002-of-00002.gguf",
                                        "model.safetensors",
                                        "model.safetensors.index.json",
                                        "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) drop(names[i]);
    return rmdir(folder);
}

/* ---- what they hold ---- */

static pg_code open_in(pg_model **m, const char *name, pg_error *e)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s%s", folder, name[0] ? "/" : "", name);
    *e = (pg_error)PG_ERROR_INIT;
    return pg_model_open(m, path, NULL, e);
}

static pg_model *opened(const char *name)
{
    pg_model *m;
    pg_error e;
    if (open_in(&m, name, &e)) fail_msg("%s: %s", name, e.text);
    return m;
}

static void expect_error(const char *name, const char *words)
{
    pg_model *m;
    pg_error e;
    assert_int_not_equal(open_in(&m, name, &e), PG_E_OK);
    if (!strstr(e.text, words)) fail_msg("'%s' is not in: %s", words, e.text);
}

static double latency(pg_model *m, pg_catalog *catalog)
{
    pg_error e = PG_ERROR_INIT;
    pg_plan *plan;
    pg_prediction p;
    if (pg_plan_open(&plan, m, catalog, &(pg_request){.precision = "fp16", .sequence = 512}, &e))
        fail_msg("%s", e.text);
    if (pg_plan_predict(plan, pg_catalog_find(catalog, "a100", &e), &p, &e)) fail_msg("%s", e.text);
    pg_plan_free(plan);
    return p.latency_ms;
}

static const char config[] = "{\"model_type\": \"llama\", \"hidden_size\": 2048, \"intermediate_size\": 5632, "
                             "\"num_hidden_layers\": 22, \"num_attention_heads\": 32, \"num_key_value_heads\": 4, "
                             "\"vocab_size\": 32000, \"max_position_embeddings\": 2048, \"torch_dtype\": \"float16\"}";

static void test_same_model(void **state)
{
    static out o;
    tensors t = {0};
    uint64_t size;
    (void)state;
    write_llama(&o, 0, LAYERS, 1, 0, &size, &t);
    save(folder, "tiny.gguf", o.bytes, o.n, size);
    save(folder, "config.json", config, sizeof config - 1, 0);
    pg_model *g = opened("tiny.gguf"), *h = opened("config.json");
    const pg_model_info *a = pg_model_describe(g), *b = pg_model_describe(h);
    const language_model *l = g->g.language;
    assert_true(a->parameters == 1100048384.0 && b->parameters == a->parameters);
    assert_true(a->macs == b->macs && a->macs > 5e11);
    assert_string_equal(a->format, "gguf");
    assert_string_equal(l->quantization, "q4_k_m");
    assert_true(fabs(l->linear_bits - 4.5) < 1e-9 && fabs(l->output_bits - 6.5625) < 1e-9);
    assert_true(fabs(l->embedding_bits - 4.5) < 1e-9 && l->max_position == 2048 && l->type.len == 5);
    /* What is stored: all but the norms at their bits, to a thousandth. */
    double want = (1100048384.0 - 65536000.0) * 4.5 / 8 + 65536000.0 * 6.5625 / 8;
    assert_true(fabs(lm_weight_bytes(l) / want - 1) < 1e-3);
    pg_model_free(g);
    pg_model_free(h);
}

static void test_parts(void **state)
{
    static out o;
    tensors t = {0};
    uint64_t size;
    (void)state;
    drop("tiny.gguf");
    write_llama(&o, 0, 10, 2, 0, &size, &t);
    save(folder, "tiny-00001-of-00002.gguf", o.bytes, o.n, size);
    expect_error("tiny-00001-of-00002.gguf", "'tiny-00002-of-00002.gguf' is not beside it");
    write_llama(&o, 10, LAYERS, 2, 1, &size, &t);
    save(folder, "tiny-00002-of-00002.gguf", o.bytes, o.n, size);
    const char *const names[] = {"tiny-00001-of-00002.gguf", "tiny-00002-of-00002.gguf", ""};
    for (int i = 0; i < 3; i++) {
        pg_model *m = opened(names[i]); /* the last is the folder */
        assert_true(pg_model_describe(m)->parameters == 1100048384.0);
        assert_string_equal(pg_model_describe(m)->format, "gguf");
        pg_model_free(m);
    }
    /* Cut off: the data are not all there. */
    save(folder, "tiny-00002-of-00002.gguf", o.bytes, o.n, size - 4096);
    expect_error("tiny-00001-of-00002.gguf", "lie behind the end of the file");
    drop("tiny-00001-of-00002.gguf");
    drop("tiny-00002-of-00002.gguf");
}

/* The data are empty, so that a file is its header alone; shapes of a tied model of two matrices. */
static void save_tensors(const char *name, const char *header, uint64_t data)
{
    out o = {.n = 0};
    put64(&o, strlen(header));
    put(&o, header, strlen(header));
    save(folder, name, o.bytes, o.n, o.n + data);
}

static void test_beside_config(void **state)
{
    static const char small[] = "{\"model_type\": \"gpt2\", \"n_embd\": 32, \"n_head\": 2, \"n_layer\": 1, "
                                "\"n_positions\": 16, \"vocab_size\": 50}";
    (void)state;
    drop("tiny.gguf");
    save(folder, "config.json", small, sizeof small - 1, 0);
    /* 14880 parameters; the mask of attention is a buffer. */
    save_tensors("model.safetensors",
                 "{\"h.0.attn.bias\":{\"dtype\":\"F32\",\"shape\":[1,1,16,16],\"data_offsets\":[0,1024]},"
                 "\"all\":{\"dtype\":\"F16\",\"shape\":[14880],\"data_offsets\":[1024,30784]}}",
                 30784);
    pg_model *m = opened("model.safetensors");
    const pg_model_info *info = pg_model_describe(m);
    assert_true(info->parameters == 14880 && info->warning_count == 0 && info->macs > 0);
    pg_model_free(m);
    m = opened(""); /* the folder: the configuration, held against the weights */
    assert_string_equal(pg_model_describe(m)->format, "hugging-face");
    assert_int_equal(pg_model_describe(m)->warning_count, 0);
    pg_model_free(m);
    save_tensors("model.safetensors", "{\"all\":{\"dtype\":\"F16\",\"shape\":[20000],\"data_offsets\":[0,40000]}}",
                 40000);
    m = opened("");
    assert_int_equal(pg_model_describe(m)->warning_count, 1);
    assert_non_null(strstr(pg_model_describe(m)->warnings[0], "0.02 million parameters"));
    pg_model_free(m);
    drop("config.json");
    drop("model.safetensors");
}

static void test_shards(void **state)
{
    static const char index[] = "{\"metadata\": {}, \"weight_map\": {\"a\": \"model-00001-of-00002.safetensors\", "
                                "\"b\": \"model-00002-of-00002.safetensors\"}}";
    (void)state;
    save_tensors("model-00001-of-00002.safetensors",
                 "{\"a\":{\"dtype\":\"BF16\",\"shape\":[5],\"data_offsets\":[0,10]}}", 10);
    expect_error("model-00001-of-00002.safetensors", "is one of several parts");
    save(folder, "model.safetensors.index.json", index, sizeof index - 1, 0);
    expect_error("model.safetensors.index.json", "'model-00002-of-00002.safetensors', which is not there");
    save_tensors("model-00002-of-00002.safetensors",
                 "{\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24);
    static const char *const names[] = {"model.safetensors.index.json", "model-00002-of-00002.safetensors", ""};
    for (int i = 0; i < 3; i++) {
        pg_model *m = opened(names[i]);
        assert_true(pg_model_describe(m)->parameters == 11 && pg_model_describe(m)->weights_bytes == 34);
        pg_model_free(m);
    }
    save_tensors("model-00002-of-00002.safetensors",
                 "{\"c\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                 "\"d\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
                 8);
    expect_error("model.safetensors.index.json", "names 2 tensors, its 2 files have 3");
    drop("model.safetensors.index.json");
    drop("model-00001-of-00002.safetensors");
    drop("model-00002-of-00002.safetensors");
}

/* Packed weights count as what they stand for. */
static void test_packed(void **state)
{
    static const struct {
        const char *header;
        uint64_t data;
        double parameters;
    } cases[] = {
        /* GPTQ: 32 by 16 at 4 bits */
        {"{\"q.qweight\":{\"dtype\":\"I32\",\"shape\":[4,16],\"data_offsets\":[0,256]},\"q.qzeros\":{\"dtype\":\"I32\","
         "\"shape\":[1,2],\"data_offsets\":[256,264]},\"q.scales\":{\"dtype\":\"F16\",\"shape\":[1,16],\"data_offsets\":[264,296]}}",
         296, 512},
        /* the same at 8 bits */
        {"{\"q.qweight\":{\"dtype\":\"I32\",\"shape\":[8,16],\"data_offsets\":[0,512]},\"q.qzeros\":{\"dtype\":\"I32\","
         "\"shape\":[1,4],\"data_offsets\":[512,528]},\"q.scales\":{\"dtype\":\"F16\",\"shape\":[1,16],\"data_offsets\":[528,560]}}",
         560, 512},
        /* AWQ: packed along the outputs */
        {"{\"q.qweight\":{\"dtype\":\"I32\",\"shape\":[32,2],\"data_offsets\":[0,256]},\"q.qzeros\":{\"dtype\":\"I32\","
         "\"shape\":[1,2],\"data_offsets\":[256,264]},\"q.scales\":{\"dtype\":\"F16\",\"shape\":[1,16],\"data_offsets\":[264,296]}}",
         296, 512},
        /* bitsandbytes */
        {"{\"q.weight\":{\"dtype\":\"U8\",\"shape\":[32,1],\"data_offsets\":[0,32]},\"q.weight.absmax\":{\"dtype\":\"F32\","
         "\"shape\":[1],\"data_offsets\":[32,36]},\"q.weight.quant_state.bitsandbytes__nf4\":{\"dtype\":\"U8\",\"shape\":[4],"
         "\"data_offsets\":[36,40]}}",
         40, 64},
        /* MXFP4 blocks of 32 */
        {"{\"e_blocks\":{\"dtype\":\"U8\",\"shape\":[2,4,1,16],\"data_offsets\":[0,128]},\"e_scales\":{\"dtype\":\"U8\","
         "\"shape\":[2,4,1],\"data_offsets\":[128,136]}}",
         136, 256},
        /* FP8 with a scale for a block, which is none of the parameters */
        {"{\"q.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[4,8],\"data_offsets\":[0,32]},\"q.weight_scale_inv\":{\"dtype\":"
         "\"F32\",\"shape\":[1,1],\"data_offsets\":[32,36]}}",
         36, 32},
        /* NVFP4 as NVIDIA's tools write it */
        {"{\"q.weight\":{\"dtype\":\"U8\",\"shape\":[4,8],\"data_offsets\":[0,32]},\"q.weight_scale\":{\"dtype\":\"F8_E4M3\","
         "\"shape\":[4,1],\"data_offsets\":[32,36]},\"q.weight_scale_2\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[36,40]}}",
         40, 64},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        save_tensors("model.safetensors", cases[i].header, cases[i].data);
        pg_model *m = opened("model.safetensors");
        const pg_model_info *info = pg_model_describe(m);
        if (info->parameters != cases[i].parameters || info->weights_bytes != (double)cases[i].data)
            fail_msg("case %zu: %g parameters in %g bytes", i, info->parameters, info->weights_bytes);
        pg_model_free(m);
    }
    drop("model.safetensors");
}

static void test_refused(void **state)
{
    static const struct {
        const char *header;
        uint64_t data;
        const char *words;
    } cases[] = {
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "'a' occurs twice"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
         6, "'a' and 'b' overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}}",
         4, "2 bytes in front of tensor 'b'"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 9,
         "last 8 bytes of the file belong to no tensor"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}", 1, "there are only 1"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,4],\"data_offsets\":[0,1]}}", 1,
         "more elements than there can be"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "a dimension expected"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "contradict"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[4,3]}}", 4, "ends before it begins"},
        {"{\"a\":{\"dtype\":\"F7\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "unknown dtype 'F7'"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "data_offsets expected"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        save_tensors("model.safetensors", cases[i].header, cases[i].data);
        expect_error("model.safetensors", cases[i].words);
    }
    save(folder, "model.safetensors", "\0\0\0\0\0\1\0\0{}", 10, 0);
    expect_error("model.safetensors", "no safetensors file");
    drop("model.safetensors");
}

/* Of four experts a token meets two; a window that is narrower than the text saves products. */
static void test_work(void **state)
{
    static const char base[] =
        "{\"model_type\": \"%s\", \"hidden_size\": 64, \"intermediate_size\": 32, \"num_hidden_layers\": 1, "
        "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"vocab_size\": 100, \"head_dim\": 16, "
        "\"max_position_embeddings\": 64, \"num_local_experts\": 4, \"num_experts_per_tok\": 2%s}";
    static const struct {
        const char *type, *more;
        double per_token, attention;
    } cases[] = {
        {"mixtral", "", 3 * 4096 + 64 * 4 + 2 * 3 * 64 * 32 + 6400, 2080},
        {"mistral", "", 3 * 4096 + 3 * 64 * 32 + 6400, 2080},
        {"mistral", ", \"sliding_window\": 16", 3 * 4096 + 3 * 64 * 32 + 6400, 64 * 16},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        int n = snprintf(text, sizeof text, base, cases[i].type, cases[i].more);
        save(folder, "config.json", text, (size_t)n, 0);
        pg_model *m = opened("config.json");
        double macs = pg_model_describe(m)->macs, want = 64 * cases[i].per_token + 4 * cases[i].attention * 32;
        if (macs != want) fail_msg("case %zu: %.0f MACs, not %.0f", i, macs, want);
        pg_model_free(m);
    }
    drop("config.json");
}

/* A voice activity detector, where the folder of files is there. */
static void test_silero(void **state)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    (void)state;
    if (pg_model_open(&m, TEST_ROOT "/../shared/models/files/silero_vad_16k.safetensors", NULL, &e)) {
        assert_int_equal(e.code, PG_E_IO);
        skip();
    }
    assert_true(pg_model_describe(m)->parameters == 309633);
    assert_non_null(pg_model_describe(m)->no_graph);
    pg_model_free(m);
}

/* The same network through both formats takes the same time in the same precision. */
static void test_same_latency(void **state)
{
    static out o;
    tensors t = {0};
    uint64_t size;
    pg_error e = PG_ERROR_INIT;
    pg_catalog *catalog;
    (void)state;
    write_llama(&o, 0, LAYERS, 1, 0, &size, &t);
    save(folder, "tiny.gguf", o.bytes, o.n, size);
    save(folder, "config.json", config, sizeof config - 1, 0);
    assert_int_equal(pg_catalog_open(&catalog, NULL, &e), PG_E_OK);
    pg_model *g = opened("tiny.gguf"), *h = opened("config.json"), *z;
    assert_int_equal(pg_model_open(&z, "tinyllama-1.1b", NULL, &e), PG_E_OK);
    double config_ms = latency(h, catalog), built_in_ms = latency(z, catalog), gguf_ms = latency(g, catalog);
    assert_true(fabs(config_ms / built_in_ms - 1) < 0.02);
    /* quantised weights are read faster: a prompt of 512 tokens hardly notices */
    assert_true(gguf_ms < 1.02 * config_ms && gguf_ms > 0.7 * config_ms);
    pg_model_free(g);
    pg_model_free(h);
    pg_model_free(z);
    pg_catalog_free(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_model),   cmocka_unit_test(test_parts),  cmocka_unit_test(test_beside_config),
        cmocka_unit_test(test_shards),       cmocka_unit_test(test_packed), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_same_latency), cmocka_unit_test(test_work),   cmocka_unit_test(test_silero),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
