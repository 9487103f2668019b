/* The graph of a built-in model, whether the zoo has a builder for it or its published configuration. */
#ifndef LOAD_BUILTIN_H
#define LOAD_BUILTIN_H

#include "zoo/zoo.h"

/* As zoo_build, for every entry. A graph fresh from graph_init; opt may be NULL. */
pg_code load_builtin(graph *g, const zoo_entry *z, const zoo_options *opt, pg_error *e);

#endif
