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
    LM_LIGHTNING,   /* linear attention with a fixed decay a head and a gated output (MiniMax-01) */
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
    bool blocks; /* Longformer: a window to both sides, in blocks; tokens that see all have projections of their own */
    int64_t chunk; /* attention within chunks of so many tokens (Llama 4); 0: no */
    bool qkv_bias, out_bias, qk_norm, gated_output;
    bool no_key_bias; /* qkv_bias is of queries and values alone (Whisper) */
    /* latent attention */
    int64_t q_rank, kv_rank, nope_dim, rope_dim;
    int64_t index_heads, index_dim, index_top; /* the indexer of sparse attention (DeepSeek-V3.2) */
    /* state space and linear attention */
    int64_t inner, state, groups, conv_kernel, ssm_heads, ssm_head_dim, dt_rank;
    bool cross;        /* attends to the encoder as well */
    bool k_is_v;       /* values are the keys, from one projection (Gemma 4) */
    bool shared_cache; /* reads the keys and values of an earlier layer and keeps none (Gemma 3n) */
    /* feed-forward; of a mixture: of one expert */
    int64_t ffn_dim;
    bool gated, ffn_bias;
    int64_t experts, experts_used, shared_dim; /* shared_dim: width of all shared experts together */
    bool parallel; /* mixer and feed-forward read the same normalised input (GPT-NeoX, Falcon, Phi) */
    /* what the exact number of parameters and the graph need beside */
    int norms;           /* normalisations over the width: 2 as a rule, 1 where two parts share one, 4 with post_norm */
    bool post_norm;      /* each part's result is normalised too (Gemma 2); without norms in front: OLMo 2 */
    bool norm_after_add; /* the sum is normalised, not what a part reads (BERT, BART) */
    bool fused_qkv, fused_gate; /* one product for queries, keys and values; for gate and up */
    bool qk_norm_wide;          /* qk_norm over all heads together (OLMo 2, MiniMax-M2), with weights of that width */
    bool sinks;                 /* one learned number a head in the softmax (gpt-oss) */
    int64_t rope_features;      /* of a head, that are rotated; 0: no rotary positions in this layer */
    uint16_t activation;        /* op_kind */
    bool squared;               /* the activation is squared (ReLU^2) */
    bool router_bias, shared_gate;
    bool conv_bias, ssm_bias, ssm_norms;  /* of the convolution; of the projections; norms of dt, B and C (Jamba) */
    double extra_parameters;              /* trained numbers that no field above stands for */
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
    const uint8_t *order;      /* the kind of each decoder layer, n_order of them; NULL: kind after kind */
    uint32_t n_order;
    int64_t embedding_width;   /* where it differs from `hidden` (ALBERT, ELECTRA, OPT-350m); 0: the same */
    int64_t token_types;       /* rows of a table of segments (BERT); 0: none */
    int64_t mels;              /* features of audio that the encoder's convolutions read (Whisper); 0: text */
    int64_t encoder_positions; /* rows of the encoder's own table of positions; 0: none */
    int64_t buckets;           /* of learned biases of distances, once a stack (T5); 0: none */
    int64_t layer_embedding,
        layer_vocab; /* a row of so many numbers a token and layer, gated in (Gemma 3n); rows of their table */
    double rope_theta;
    bool norm_bias;          /* normalisations have a bias (LayerNorm as a rule) */
    bool norm_plain;         /* normalisations have no weights (OLMo) */
    bool embed_norm;         /* embeddings are normalised (BERT, BLOOM) */
    bool no_final_norm;      /* nothing is normalised behind the last layer (BERT, BART) */
    bool output_bias;        /* of the output layer */
    bool alibi;              /* biases of distances on the scores instead of positions */
    bool pooler;             /* a layer on the first token (BERT) */
    bool shared_layers;      /* all layers have the first one's weights (ALBERT) */
    bool no_output;          /* ends in hidden states */
    double extra_parameters; /* outside the layers, that no field above stands for */
    double draft_parameters; /* of layers that predict further tokens (MTP); not in parameters */
} language_model;

/* ---- counting (language.c) ---- */

/* Trained numbers of one layer; active: those that one token meets. */
double lm_layer_count(const language_model *m, const lm_layer *l, bool active);
/* Fills in `parameters` and `active_parameters` of the layers and of the model. The arrays are m's own. */
void lm_count(language_model *m, lm_layer *layers, lm_layer *encoder);
/* Layers of a list of kinds together. */
uint32_t lm_depth(const lm_layer *layers, uint32_t kinds);
/* Elements that the cache keeps of a token in one layer (keys and values; the latent row; keys of the indexer), and those of
 * a sequence that don't grow (state spaces, convolutions). */
double lm_cache_elements(const lm_layer *l);
double lm_state_elements(const lm_layer *l, int64_t hidden);
/* Tokens of `length` that the layer's cache keeps: no more than its window or chunk. */
int64_t lm_cache_tokens(const lm_layer *l, int64_t length);
/* Bits of a stored weight, where the field says 0. */
double lm_bits(const language_model *m, double bits);
/* Bytes of all weights as stored: linear layers, experts, embedding and output layer at their own bits. */
double lm_weight_bytes(const language_model *m);
/* Some layer has a mixture of experts. */
bool lm_has_experts(const language_model *m);

#endif
