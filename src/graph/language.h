/* A language model as its dimensions: what predictions of prefill, decode and serving are made of. Loaders (config.json, GGUF) and
 * the built-in models fill it in; graph.language points to it. Zeros mean: the model has no such thing. */
#ifndef GRAPH_LANGUAGE_H
#define GRAPH_LANGUAGE_H

#include "graph/graph.h"

/* What mixes tokens in a layer. */
typedef enum lm_mixer {
    LM_NO_MIXER,
    LM_ATTENTION,   /* multi-head, grouped (kv_heads < heads) or multi-query (kv_heads 1) */
    LM_MLA,         /* latent attention (DeepSeek-V2): the cache holds one latent row of kv_rank + rope_dim a token */
    LM_MAMBA,       /* selective state space, one state a channel */
    LM_MAMBA2,      /* state space of heads */
    LM_GATED_DELTA, /* linear attention with a gated delta rule (Qwen3-Next) */
    LM_SHORT_CONV,  /* gated short convolution (LFM2) */
} lm_mixer;

typedef enum lm_ffn {
    LM_NO_FFN,
    LM_PLAIN, /* up, activation, down */
    LM_GATED, /* gate and up, activation and product, down */
    LM_MOE,   /* a router and experts; `gated` says of which kind they are */
} lm_ffn;

/* Layers of one kind; a model is a few kinds with their counts. */
typedef struct lm_layer {
    uint32_t count;
    lm_mixer mixer;
    lm_ffn ffn;
    /* attention */
    int64_t heads, kv_heads, head_dim;
    int64_t v_head_dim; /* 0: head_dim */
    int64_t window;     /* tokens that a sliding window sees; 0: all */
    int64_t chunk;      /* attention within chunks of so many tokens (Llama 4); 0: no */
    bool qkv_bias, out_bias, qk_norm, gated_output;
    /* latent attention */
    int64_t q_rank, kv_rank, nope_dim, rope_dim;
    int64_t index_heads, index_dim, index_top; /* the indexer of sparse attention (DeepSeek-V3.2) */
    /* state space and linear attention */
    int64_t inner, state, groups, conv_kernel, ssm_heads, ssm_head_dim, dt_rank;
    bool cross; /* attends to the encoder as well */
    /* feed-forward; of a mixture: of one expert */
    int64_t ffn_dim;
    bool gated, ffn_bias;
    int64_t experts, experts_used, shared_dim; /* shared_dim: width of all shared experts together */
    bool parallel; /* mixer and feed-forward read the same normalised input (GPT-NeoX, Falcon, Phi) */
    double parameters, active_parameters; /* of one layer; active: those that one token meets */
} lm_layer;

typedef struct language_model {
    str type; /* model_type of config.json, general.architecture of GGUF */
    int64_t hidden, vocab, max_position;
    int64_t position_table; /* rows of a learned table of positions; 0: none */
    bool tied;              /* the output layer is the embedding */
    bool encoder_only;      /* BERT and its like: there is no decode */
    bool rms_norm;
    const lm_layer *layers;  /* kinds of decoder layers */
    uint32_t n_layers;       /* kinds, not layers */
    const lm_layer *encoder; /* kinds of encoder layers (T5, BART, Whisper) */
    uint32_t n_encoder;
    int64_t encoder_length;               /* fixed length of what the encoder reads (Whisper: 1500); 0: free */
    double parameters, active_parameters; /* of the whole text model, embeddings and output layer once each */
    double other_parameters; /* of parts that are not sized: vision towers and the like; not in parameters */
    /* How weights are stored: true bits a weight, scales and zero points counted. 0: as `weights` says. */
    dtype weights;
    const char *quantization; /* "gptq", "awq", "fp8", "q4_k_m", ...; NULL: none */
    double linear_bits, expert_bits, embedding_bits, output_bits;
    int64_t group; /* weights that share a scale; 0: a row or the tensor */
    bool
        quantized_activations; /* fp8, int8 w8a8, nvfp4: products run in that precision; else weights are widened first */
    dtype kv_cache;            /* DT_UNKNOWN: as the activations */
} language_model;

#endif
