/* Built-in models that are a Hugging Face configuration: load/builtin.h makes their graphs, with the loader of such files. */
#include "zoo/tables.h"

#define R(...) #__VA_ARGS__
#define CONFIG(nm, alias, text, params, repo, tokens, json) \
    {.name = nm,                                            \
     .aliases = alias,                                      \
     .family = "transformer",                               \
     .description = text,                                   \
     .parameters = params,                                  \
     .source = ZOO_HUGGING_FACE(repo),                      \
     .sequence = tokens,                                    \
     .config = json},

static const zoo_entry rows[] = {
#include "zoo/configs.def"
};

const zoo_table zoo_configs = ZOO_TABLE(rows);
