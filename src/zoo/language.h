/* The dimensions of a built-in language model beside its graph: what predictions of prefill and decode start from. */
#ifndef ZOO_LANGUAGE_H
#define ZOO_LANGUAGE_H

#include "graph/language.h"
#include "zoo/nn.h"

/* Copies the model with its one kind of decoder layer and (NULL: none) of encoder layer, counts it, and makes it the graph's. */
void zoo_language(nn *n, const language_model *m, const lm_layer *layer, const lm_layer *encoder);
/* The same for several kinds; `order` has the kind of each decoder layer, and lives as long as the graph. */
void zoo_language_kinds(nn *n, const language_model *m, const lm_layer *layers, const lm_layer *encoder);

#endif
