/* How weights are stored: names of quantisations and their true bits a weight, scales and zero points counted. */
#ifndef LLM_QUANT_H
#define LLM_QUANT_H

#include "graph/language.h"
#include "gpu/spec.h"

/* Where the weights are widened before they are multiplied, if they are. */
typedef enum quant_kind {
    QUANT_WIDE,   /* no quantisation: 16 or 32 bits */
    QUANT_NARROW, /* products run in the narrow precision: activations are quantised as well */
    QUANT_PACKED, /* widened inside the products */
    QUANT_GGML,   /* llama.cpp's blocks: widened, or multiplied by activations of 8 bits */
} quant_kind;

typedef struct quant_format {
    const char *name;
    quant_kind kind;
    precision math;       /* QUANT_NARROW: of the products */
    double bits;          /* of linear layers */
    double value, down;   /* of the value and the down projections, on average over layers */
    double attention_out; /* of attention's output projection */
    double embedding, output;
} quant_format;

/* By name, whatever the case, '-' and '_'. NULL: not known. */
const quant_format *quant_find(const char *name);
/* Sets the bits of m's weights as the format stores them. `wide`: bits of what is not quantised. */
void quant_apply(const quant_format *q, language_model *m, double wide);

#endif
