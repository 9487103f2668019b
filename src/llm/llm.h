/* Language models: prefill, decode, memory and serving from a model's dimensions (graph/language.h). Pure; memory from the arena.
 *
 * A case is a model at one precision, under one runtime, spread over so many GPUs. From it come passes, the kernel lists of one
 * step of the model over some tokens, which go through predict_step like those of any other model. Decode is one pass whose attention is
 * taken at two lengths of the cache (Gauss-Legendre points): exact as long as its time is a cubic of the length. */
#ifndef LLM_LLM_H
#define LLM_LLM_H

#include "graph/language.h"
#include "llm/quant.h"
#include "predict/predict.h"

/* What is asked for; zeros: as the model and the runtime have it. */
typedef struct llm_request {
    const language_model *model;
    const runtime_profile *runtime;
    precision math;            /* of activations; of products too unless weights are packed */
    bool own_weights;          /* weights as the model stores them, which `quant` is then the name of */
    const quant_format *quant; /* NULL: weights are of `math` */
    precision cache;           /* of keys and values */
    double batch, input, output;
    int tensor, pipeline, data, expert; /* at least 1 */
    int gpu_layers;                     /* layers on the GPU; negative: all */
    double guesses,
        accepted; /* tokens that are guessed ahead of each, and the chance of each that it holds where those before it do */
    /* Serving, how the runtime is set up: requests that run at a time at most (0: as many as memory holds), steps that decode between two
     * looks for new requests (0: 1), steps that prompts wait for others until tokens fill that share of a step (0: none). */
    double most_requests, poll_steps, wait_steps, wait_share;
    double
        shortest; /* serving: lengths lie between this share of `input` and `output` and all of it; 0: prompts are all alike */
    double step_tokens; /* of a step at most; 0: as the runtime is by itself */
    bool first_run;     /* the prompts are the first of the process */
} llm_request;

/* A request with everything filled in. */
typedef struct llm_case {
    llm_request r;
    language_model model; /* with the bits that its weights have here */
    precision math;       /* of products of activations and weights */
    bool packed;          /* weights are widened inside the products */
    double act;           /* bytes of an activation between kernels */
    double cache_bytes;   /* of an element of the cache */
    double tensor, pipeline, expert;
    double row_gpus; /* llama.cpp: that have rows of each matrix, all else being on the first; 1: it is whole */
    double layers;   /* of the decoder */
    /* bytes of all GPUs that share one copy of the model */
    double weights, weights_each; /* ...; of the fullest GPU */
    double cpu_share;             /* of the layers that stay on the CPU */
} llm_case;

/* Sequences of a pass that are alike: `q` new tokens each, behind which the cache holds `kv` tokens, the new ones among them. */
typedef struct llm_group {
    double seqs, q;
    double kv[2];   /* two lengths, each of which half of the executions have */
    double guesses; /* where one token is new: further ones, guessed, that are checked with it */
} llm_group;

/* New tokens of a group. */
static inline double llm_group_tokens(const llm_group *g)
{
    return g->seqs * (g->q + g->guesses);
}

enum { LLM_GROUPS = 2, LLM_GUESSES_MOST = 16 };

typedef struct llm_pass {
    llm_group group[LLM_GROUPS];
    int groups;
    double logits; /* rows that the output layer is computed for */
    double steps;  /* such steps, one after the other */
    double rank;   /* of adapters that are trained beside the frozen weights; 0: no training */
} llm_pass;

/* A pass as kernels. */
typedef struct llm_plan {
    kernel_plan plan;
    const char **labels; /* by kernel */
    double tokens;       /* of a step */
    double stage_bytes;  /* activations that go from one stage of a pipeline to the next in a step */
    double cpu_s;        /* of a step: layers that run on the CPU */
    double row_bytes;    /* of a step: to the GPUs that have rows of the matrices, and back */
    double row_copies;   /* ... in so many parts, each for all GPUs */
    double steps;
} llm_plan;

/* Checks the request against the model: PG_E_USAGE names the field and its value. */
pg_code llm_case_make(llm_case *out, const llm_request *r, pg_error *e);

/* Layers of the stage of a pipeline that has most of them; all without a pipeline. */
double llm_stage_layers(const llm_case *c);

/* sizes.c */
/* Bytes of the cache and of states that do not grow, for `seqs` sequences of `length` tokens, on the fullest GPU. */
double llm_cache_bytes(const llm_case *c, double seqs, double length);
/* Activations of a step over so many tokens that give so many rows of logits, on each GPU. */
double llm_activation_bytes(const llm_case *c, double tokens, double logits);
/* Most sequences of `length` tokens, and most tokens of one of `seqs` sequences, that so many bytes of cache hold. */
double llm_most_sequences(const llm_case *c, double bytes, double length);
double llm_most_tokens(const llm_case *c, double bytes, double seqs);

/* kernels.c: the kernel list of a pass. */
pg_code llm_plan_make(llm_plan *out, const llm_case *c, const llm_pass *pass, arena *a, pg_error *e);

/* passes.c: the prompts of a batch, in the chunks in which the runtime takes them; all steps of generating its output. */
llm_pass llm_prefill_pass(const llm_case *c, double seqs, double input);
llm_pass llm_decode_pass(const llm_case *c, double seqs, double input, double output);
/* Tokens that a step makes of each request, on average. */
double llm_step_tokens(const llm_case *c);
/* Tokens that the runtime takes into one step. */
double llm_chunk(const llm_case *c);

/* predict.c */
typedef struct llm_step {
    step_prediction s; /* of one step on one GPU */
    double seconds;    /* of all steps of the pass, pipeline and scheduler counted */
    double step_s;     /* seconds / steps */
    double efficiency; /* share of the roof that binds */
} llm_step;

llm_step llm_predict_step(const llm_case *c, const llm_plan *p, const predict_gpu *g, const predict_constants *pc,
                          const predict_options *opt);

typedef struct llm_memory {
    double weights, cache, activations, workspace, runtime, context, total; /* bytes of the fullest GPU */
    bool fits;
    double most_sequences, most_tokens; /* of such requests; of one request in such a batch */
} llm_memory;

llm_memory llm_memory_of(const llm_case *c, const predict_gpu *g, const predict_constants *pc);

/* A GPU as the runtime drives it: predict_gpu_init with what is special to its products. */
void llm_gpu_init(predict_gpu *g, const gpu_spec *spec, const cost_constants *cost, const runtime_profile *rt,
                  const predict_options *opt);

#endif
