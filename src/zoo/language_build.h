/* Shared by language_graph.c (the frame: embeddings, stacks of layers, output) and language_parts.c (what layers are made of). */
#ifndef ZOO_LANGUAGE_BUILD_H
#define ZOO_LANGUAGE_BUILD_H

#include "graph/language.h"
#include "zoo/nn_seq.h"

enum { LM_ROTARIES = 8 };

typedef struct lm_build {
    nn n;
    const language_model *m;
    nn_val ids;     /* NN_ABSENT: the stack reads audio */
    nn_val mask;    /* of padding (encoders); NN_ABSENT: none */
    nn_val encoded; /* what the decoder attends to besides; NN_ABSENT: nothing */
    nn_val bias;    /* added to all scores: learned biases of distances, ALiBi; NN_ABSENT: none */
    nn_val later;   /* what hides later tokens, where `bias` is there */
    nn_val rows;    /* of every token for every layer; NN_ABSENT: none */
    nn_val more;    /* how many tokens a text is padded with; NN_ABSENT: it isn't */
    bool causal;
    struct {
        int64_t features;
        nn_rotary angles;
    } rotary[LM_ROTARIES];
    uint32_t n_rotary;
    uint32_t sized; /* weights before this tensor have their stored size */
} lm_build;

/* Gives the matrices that were emitted since the last call their stored size: so many bits an element, 0 as they come. */
void lm_stored(lm_build *b, double bits);
nn_val lm_norm(lm_build *b, nn_val x, const char *layer);
/* x is normalised already; `from` is x, or what a decoder attends to. */
nn_val lm_mix(lm_build *b, const lm_layer *l, nn_val x);
nn_val lm_cross(lm_build *b, const lm_layer *l, nn_val x);
nn_val lm_feed(lm_build *b, const lm_layer *l, nn_val x);

/* ---- language_sliding.c: layers with `blocks` ---- */

/* Pads the tokens and their mask to whole windows, if a layer needs that; so what else has a token in the last of its `rank` axes; and
 * cuts what came of it to the length of `ids` again. */
void lm_pad_to_windows(lm_build *b);
nn_val lm_pad(lm_build *b, nn_val x, const char *layer, int rank);
nn_val lm_cut_to_length(lm_build *b, nn_val x, nn_val ids);
nn_val lm_sliding(lm_build *b, const lm_layer *l, nn_val x);

#endif
