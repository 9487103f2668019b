#include "load/builtin.h"

#include "load/hf_config.h"

pg_code load_builtin(graph *g, const zoo_entry *z, const zoo_options *opt, pg_error *e)
{
    if (!z->config) return zoo_build(g, z, opt, e);
    g->name = str_c(z->name);
    g->format = STR("built-in");
    g->family = str_c(z->family);
    g->producer = STR("phantom-gpu");
    span text = {(const uint8_t *)z->config, strlen(z->config), 0};
    load_input in = {.path = z->name, .bytes = text};
    return hf_config_load(g, &in, text, e);
}
