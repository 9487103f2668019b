/* TensorFlow files of a few nodes: what the tests read, and the corpus of the fuzz target. */
#ifndef SUPPORT_TF_MODELS_H
#define SUPPORT_TF_MODELS_H

#include "fuzz/tf_proto.h"

typedef struct tf_model {
    const char *name; /* with the ending that its file has */
    proto (*build)(void);
} tf_model;

/* The last has no name. */
extern const tf_model tf_models[];

proto tf_model_build(const char *name);

#endif
