/* What the files that make kernel lists share; nothing outside llm/ includes this. */
#ifndef LLM_BUILD_H
#define LLM_BUILD_H

#include "llm/llm.h"

typedef struct build {
    const llm_case *c;
    const language_model *m;
    const runtime_profile *rt;
    const llm_pass *pass;
    llm_plan *out;
    uint32_t cap;
    double tokens; /* of the step, on each GPU */
    double times;  /* layers of the kind that is being built: what kernels are counted with */
    bool eager;    /* every operation a kernel of its own */
    bool narrowed; /* what the next product reads was quantised by the kernel that made it */
    bool reduced;  /* the last kernel was a sum over the GPUs, which the next normalisation runs in */
} build;

/* One kernel, so many times a layer; `label` lives for ever. */
void build_add(build *b, const char *label, kernel k, double count);
/* A matrix product of all rows with a weight of `bits` bits an element, with what the runtime runs around it. */
void build_product(build *b, const char *label, double rows, double n, double k, double bits);
/* The same for `batch` weights at once, each with its own rows; `fine`: bits of the weights are those of m's experts. */
void build_experts(build *b, const char *label, double batch, double rows, double n, double k, double bits);
/* A pass over data: elements, operations on each, bytes that are read (they were just written) and written. */
void build_stream(build *b, const char *label, double elements, double flops, double read, double written);
/* Normalisation of `rows` rows. `add`: the sum with the residual stream runs in it. */
void build_norm(build *b, const char *label, double rows, double cols, bool add);
/* The sum of everybody's part of `rows` rows of the hidden width. */
void build_all_reduce(build *b, double rows);
/* mixer.c, experts.c: a layer's parts. */
void build_mixer(build *b, const lm_layer *l);
void build_attention(build *b, const lm_layer *l);
void build_latent(build *b, const lm_layer *l);
void build_moe(build *b, const lm_layer *l);
/* Feed-forward of this width (all GPUs together), without the sum over the GPUs behind it. */
void build_feed_forward(build *b, double width, bool gated);

static inline double build_max(double a, double b)
{
    return a > b ? a : b;
}
static inline double build_min(double a, double b)
{
    return a < b ? a : b;
}

#endif
