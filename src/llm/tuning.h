/* Fine-tuning by low-rank adapters (LoRA; QLoRA where the frozen weights are quantised): a step's kernels and its memory. */
#ifndef LLM_TUNING_H
#define LLM_TUNING_H

#include "llm/llm.h"

typedef struct llm_tuning {
    llm_plan plan;
    double rank, adapters; /* trained numbers */
    double activations;    /* bytes that wait for the backward pass, on a GPU */
} llm_tuning;

/* c: batch sequences of `input` tokens. PG_E_UNSUPPORTED for models whose layers are not attention and plain feed-forward. */
pg_code llm_tuning_make(llm_tuning *out, const llm_case *c, double rank, bool checkpointing, arena *a, pg_error *e);
/* Weights, adapters, their gradients and optimizer, activations. */
llm_memory llm_tuning_memory(const llm_case *c, const llm_tuning *t, const predict_gpu *g, const predict_constants *pc,
                             double *gradients, double *optimizer);

#endif
