/* A Hugging Face config.json as the dimensions of a language model.
 *
 * hf_config.c   finds the text part and its family, finishes and checks the model, makes the graph
 * hf_read.c     values by key, each with its bounds; the first thing that is wrong is the one that is told
 * hf_family.c   model_type to family
 * hf_llama.c    decoders of LLaMA's form, dense and with experts, and with latent attention
 * hf_gemma.c    Gemma 3n and 4: layers of different shapes, rows of every token for every layer
 * hf_gpt.c      the decoders of before: GPT-2, OPT, BLOOM, Falcon, MPT, ...
 * hf_hybrid.c   state spaces and linear attention, alone and mixed with attention
 * hf_pair.c     encoder and decoder
 * hf_bert.c     encoders
 * hf_quant.c    quantization_config
 *
 * Failure is sticky: a reader that fails keeps its error and gives harmless values, so families read line by line. */
#ifndef LOAD_HF_H
#define LOAD_HF_H

#include "graph/language.h"
#include "load/load.h"
#include "wire/json_text.h"

enum { HF_KINDS = 64, HF_LAYERS = 1024 };

typedef struct hf hf;

typedef struct hf_family {
    const char *type; /* model_type */
    void (*fill)(hf *c);
    uint64_t flags;
    /* What transformers documents as the defaults of a config that is part of another one, and so may leave out what is usual;
     * 0: must be given. */
    struct {
        int64_t hidden, ffn, layers, heads, kv_heads, head_dim, vocab, positions;
    } usual;
} hf_family;

struct hf {
    graph *g;
    pg_error *e;
    const json_t *root; /* the file */
    const json_t *text; /* the part of it that describes the language model */
    const hf_family *family;
    char where[64]; /* "text_config." or nothing: what stands before a key in messages */
    bool failed;
    bool nested;
    bool lone;    /* the config.json was given itself: messages need not name it */
    bool built;   /* the family made the graph itself: not a language model */
    bool assumed; /* a core dimension was left out and taken from `usual` */
    int depth;    /* layers of the decoder as they are added */
    language_model m;
    lm_layer layers[HF_KINDS], encoder[HF_KINDS];
    uint8_t order[HF_LAYERS];
};

/* ---- hf_read.c: `keys` are names separated by '|', of which the first that is there counts ---- */

/* Remembers the error; what follows gives fallbacks. */
void hf_fail(hf *c, pg_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
const json_t *hf_get(const hf *c, const char *keys); /* NULL: not there, or null */
/* A whole number from `least` to `most`, which must be there. */
int64_t hf_need(hf *c, const char *keys, int64_t least, int64_t most);
int64_t hf_want(hf *c, const char *keys, int64_t fallback, int64_t least, int64_t most);
/* As hf_need where `usual` is 0 or the config is a file's own; else `usual`, with a word about it. */
int64_t hf_core(hf *c, const char *keys, int64_t usual, int64_t least, int64_t most);
double hf_real(hf *c, const char *keys, double fallback, double least, double most);
bool hf_flag(hf *c, const char *keys, bool fallback);
/* A text, or an empty one. */
const char *hf_text(hf *c, const char *keys);
/* The list of that name, which must have at least `count` entries; NULL: not there. */
const json_t *hf_list(hf *c, const char *keys, size_t count);
/* a / b, which must come out even. */
int64_t hf_divide(hf *c, const char *what_a, int64_t a, const char *what_b, int64_t b);
uint16_t hf_activation(hf *c, const char *keys, uint16_t fallback, bool *squared);

/* ---- hf_config.c ---- */

/* Adds a decoder layer, or one of the encoder; like ones become one kind. */
void hf_add(hf *c, const lm_layer *l);
void hf_add_encoder(hf *c, const lm_layer *l, int64_t count);

/* ---- hf_family.c ---- */

const hf_family *hf_family_find(const char *type);
const hf_family *hf_family_at(size_t i);

/* ---- families ---- */

enum {
    HF_QKV_BIAS = 1 << 0,   /* always */
    HF_OUT_BIAS = 1 << 1,   /* always */
    HF_KEY_BIAS = 1 << 2,   /* attention_bias says so, of all four */
    HF_KEY_QKV = 1 << 3,    /* attention_bias says so, of queries, keys and values alone */
    HF_BIAS_TRUE = 1 << 4,  /* and is true where it is left out */
    HF_QK_NORM = 1 << 5,    /* always */
    HF_QK_WIDE = 1 << 6,    /* over all heads together */
    HF_POST_NORM = 1 << 7,  /* and before */
    HF_POST_ALONE = 1 << 8, /* results are normalised, inputs not */
    HF_LAYER_NORM = 1 << 9, /* with bias */
    HF_NORM_NO_BIAS = 1 << 10,
    HF_NORM_PLAIN = 1 << 11,
    HF_PLAIN_FFN = 1 << 12,
    HF_FFN_BIAS = 1 << 13,
    HF_GELU = 1 << 14, /* where hidden_act is left out */
    HF_PARALLEL = 1 << 15,
    HF_TIED = 1 << 16,        /* where tie_word_embeddings is left out */
    HF_WINDOW = 1 << 17,      /* sliding_window holds for all layers, unless layer_types or another list says else */
    HF_WINDOW_ODD = 1 << 18,  /* for every other layer, from the first */
    HF_WINDOW_MOST = 1 << 19, /* for all but every n-th layer */
    HF_WINDOW_USED = 1 << 20, /* only with use_sliding_window */
    HF_EXPERTS = 1 << 21,
    HF_SHARED_GATE = 1 << 22,
    HF_ROUTER_BIAS = 1 << 23,
    HF_EXPERT_BIAS = 1 << 24,
    HF_SINKS = 1 << 25,
    HF_HALF_ROTARY = 1 << 26, /* partial_rotary_factor is 0.5 where it is left out */
    HF_QUARTER_ROTARY = 1 << 27,
    HF_OUTPUT_BIAS = 1 << 28,
    HF_ALIBI = 1 << 29,
    HF_FUSED_QKV = 1 << 30,
};

void hf_llama(hf *c);
void hf_llama4(hf *c);
void hf_deepseek(hf *c);
void hf_minimax(hf *c);
void hf_gemma3n(hf *c);
void hf_gemma4(hf *c);
void hf_gpt2(hf *c);
void hf_gpt_neox(hf *c);
void hf_gptj(hf *c);
void hf_gpt_neo(hf *c);
void hf_opt(hf *c);
void hf_bloom(hf *c);
void hf_falcon(hf *c);
void hf_mpt(hf *c);
void hf_dbrx(hf *c);
void hf_qwen(hf *c);
void hf_chatglm(hf *c);
void hf_mamba(hf *c);
void hf_mamba2(hf *c);
void hf_jamba(hf *c);
void hf_nemotron_h(hf *c);
void hf_qwen3_next(hf *c);
void hf_granite_hybrid(hf *c);
void hf_lfm2(hf *c);
void hf_t5(hf *c);
void hf_bart(hf *c);
void hf_whisper(hf *c);
void hf_bert(hf *c);
void hf_longformer(hf *c);
void hf_distilbert(hf *c);
void hf_deberta(hf *c);
void hf_modernbert(hf *c);
void hf_clip_text(hf *c);
void hf_vit(hf *c);

#define HF_FUSED_GATE (UINT64_C(1) << 31)

/* Parts that families share: what they have in common of the model, and a layer's attention and feed-forward part. */
void hf_base(hf *c);
dtype hf_stored_type(hf *c);
lm_layer hf_attention(hf *c, int layer);
void hf_dense(hf *c, lm_layer *l, const char *width_keys);
/* Experts by the usual keys. `width_keys`: of one expert. */
void hf_experts(hf *c, lm_layer *l, const char *width_keys);

/* ---- hf_quant.c ---- */

/* Reads quantization_config, or the hf_quant_config.json beside the file. */
void hf_quantization(hf *c, const load_input *in);

#endif
