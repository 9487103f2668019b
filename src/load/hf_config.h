/* config.json for other loaders: the graph of weights that it lies beside. */
#ifndef LOAD_HF_CONFIG_H
#define LOAD_HF_CONFIG_H

#include "load/load.h"

/* Reads the text of a config.json into graph.language and builds the graph from it. `in` is what the config lies in or beside. */
pg_code hf_config_load(graph *g, const load_input *in, span text, pg_error *e);

#endif
