#define _POSIX_C_SOURCE 200809L
#include "api/api.h"
#include "graph/language.h"
#include "load/builtin.h"

#include <sys/stat.h>

/* Shapes that the user gives with --input-shape replace the file's. */
static pg_code override_inputs(pg_model *m, const pg_model_options *o, pg_error *e)
{
    for (size_t i = 0; i < o->input_shape_count; i++) {
        const pg_input_shape *s = &o->input_shapes[i];
        const region *r = &m->g.regions[0];
        uint32_t found = NO_TENSOR;
        for (uint32_t k = 0; k < r->n_inputs; k++)
            if (str_is(m->g.tensors[r->inputs[k]].name, s->name)) found = r->inputs[k];
        if (found == NO_TENSOR) {
            str first = r->n_inputs ? m->g.tensors[r->inputs[0]].name : STR("none");
            return error_set(e, PG_E_USAGE, "--input-shape: the model has no input '%s'; its first input is '%.*s'",
                             s->name, STR_ARG(first));
        }
        tensor *t = &m->g.tensors[found];
        if (t->rank >= 0 && t->rank != s->rank)
            return error_set(e, PG_E_USAGE, "--input-shape: input '%s' has %d dimensions, not %d", s->name, t->rank,
                             s->rank);
        num dims[8];
        for (int d = 0; d < s->rank; d++) {
            bool batch = t->rank > d && t->dims[d].sym >= 0 && t->dims[d].sym == m->g.batch_symbol;
            if (s->dims[d] < 1) return error_set(e, PG_E_USAGE, "--input-shape: '%s' has a dimension below 1", s->name);
            dims[d] = batch ? t->dims[d] : num_int(s->dims[d]);
            if (batch) m->g.symbols[m->g.batch_symbol].fallback = s->dims[d];
        }
        if (!graph_set_dims(&m->g, found, s->rank, dims)) return error_nomem(e, &m->a);
    }
    return PG_E_OK;
}

/* Image inputs with free height and width take the size that is asked for. */
static pg_code set_image_size(pg_model *m, int size, pg_error *e)
{
    const region *r = &m->g.regions[0];
    bool found = false;
    for (uint32_t k = 0; size && k < r->n_inputs; k++) {
        tensor *t = &m->g.tensors[r->inputs[k]];
        if (t->rank != 4) continue;
        for (int d = 1; d < 4; d++)
            if (t->dims[d].sym >= 0 && (d >= 2 || t->dims[3].sym == SYM_NONE)) {
                t->dims[d] = num_int(size);
                found = true;
            } else if (d >= 2 && t->dims[d].sym == SYM_NONE && t->dims[d].v.i == size) {
                found = true;
            }
    }
    if (size && !found)
        return error_set(e, PG_E_USAGE,
                         "--image-size: the file fixes its image size; export it with free height and width");
    return PG_E_OK;
}

#define MEMORY_BASE ((size_t)256 << 20)

/* Beside MEMORY_BASE. A node of a graph has some sixty bytes in its file and takes some five hundred here, over all. Most of a large
 * file is weights, which take nothing. */
static size_t room_for(size_t file_bytes)
{
    enum { TIMES = 16, MOST = 64 << 20 };
    return TIMES * (file_bytes < MOST ? file_bytes : (size_t)MOST);
}

/* Positions that a language model was made for; 0: none known. */
static int32_t positions(const graph *g)
{
    return g->language && g->language->max_position < INT32_MAX ? (int32_t)g->language->max_position : 0;
}

static pg_code load_path(pg_model *m, const char *path, const pg_model_options *o, pg_error *e)
{
    load_input in;
    pg_code code = load_files_open(&m->files, path, m->a.alloc, &in, e);
    if (code) return code;
    if (!o->memory_limit) m->a.limit += room_for(in.bytes.len);
    const load_format *f = load_detect(&in, o->format, e);
    if (!f) return e ? e->code : PG_E_FORMAT;
    load_shape *given = ARENA_ARRAY(&m->a, load_shape, o->input_shape_count);
    if (!given) return error_nomem(e, &m->a);
    for (size_t i = 0; i < o->input_shape_count; i++)
        given[i] = (load_shape){o->input_shapes[i].name, o->input_shapes[i].rank, o->input_shapes[i].dims};
    load_options lo = {.format = o->format,
                       .signature = o->signature,
                       .architecture = o->architecture,
                       .shapes = given,
                       .shape_count = o->input_shape_count,
                       .image_size = o->image_size,
                       .mapped = true,
                       .memory_limit = o->memory_limit};
    code = f->load(&m->g, &in, &lo, e);
    if (!code) m->max_sequence = positions(&m->g);
    if (!code) code = set_image_size(m, o->image_size, e);
    if (!code) code = override_inputs(m, o, e);
    return code;
}

static bool is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static bool looks_like_path(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (s[i] == '/') return true;
    for (size_t i = 0; load_format_at(i); i++)
        if (load_ending(load_format_at(i), str_c(s))) return true;
    return false;
}

/* "org/name" of the Hub, and not the path of a file that isn't there: that would have a model's ending, or begin with a folder
 * that is there. A mistyped path is nobody's business. */
static bool is_of_hub(api_hub_name *out, const char *name, const pg_model_options *o, pg_error *e)
{
    if (o->hub == PG_HUB_NEVER || !api_hub_read(out, name)) return false;
    if (out->marked) return true;
    for (size_t i = 0; !out->file.len && load_format_at(i); i++)
        if (load_ending(load_format_at(i), out->repository)) return false;
    char folder[128];
    size_t n = strcspn(name, "/");
    if (n >= sizeof folder) return false;
    format_text(folder, sizeof folder, "%.*s", (int)n, name);
    if (!is_there(folder)) return true;
    error_set(e, PG_E_IO,
              "no such file; there is a folder '%s' here, so this is taken for a path (hf://%s asks the Hub)", folder,
              name);
    return false;
}

static pg_code load_named_path(pg_model *m, const char *path, const char *name, const pg_model_options *o, pg_error *e)
{
    pg_code code = load_path(m, path, o, e);
    if (code) error_source(e, name);
    return code;
}

static pg_code load_hub(pg_model *m, const char *name, const api_hub_name *h, const pg_model_options *o, pg_error *e)
{
    const char *path = NULL;
    pg_code code = api_hub_open(m, &path, h, o, e);
    return code ? code : load_named_path(m, path, name, o, e);
}

static pg_code open_builtin(pg_model *m, const char *name, const zoo_entry *z, const pg_model_options *o, pg_error *e)
{
    if (o->format) return error_set(e, PG_E_USAGE, "'%s' is a built-in model; --format is for files", name);
    pg_code code = load_builtin(&m->g, z, &(zoo_options){o->image_size}, e);
    m->g.name = str_c(z->name);
    m->g.format = STR("built-in");
    m->g.family = str_c(z->family);
    m->max_sequence = z->config && !code ? positions(&m->g) : z->max_sequence;
    return code ? code : override_inputs(m, o, e);
}

static pg_code load_any(pg_model *m, const char *name, const pg_model_options *o, pg_error *e)
{
    api_hub_name hub;
    if (str_starts(str_c(name), "op:")) {
        m->g.name = str_c(name);
        m->g.format = STR("built-in");
        m->g.family = STR("kernel");
        return zoo_build_op(&m->g, str_c(name), e);
    }
    if (!name[0])
        return error_set(e, PG_E_USAGE,
                         "the model's name is empty; give a file or a built-in name (phantom-gpu list-models)");
    if (is_there(name)) return load_named_path(m, name, name, o, e);
    bool path = looks_like_path(
        name); /* so do names of the Hub, of which some are built in: "google/vit-base-patch16-224" */
    const zoo_entry *z = zoo_find(str_c(name), path ? NULL : e);
    if (z) return open_builtin(m, name, z, o, e);
    if (!path) return PG_E_NOT_FOUND;
    if (is_of_hub(&hub, name, o, e)) return load_hub(m, name, &hub, o, e);
    return load_named_path(m, name, name, o, e);
}

pg_code pg_model_open(pg_model **out, const char *model, const pg_model_options *options, pg_error *error)
{
    pg_error local = PG_ERROR_INIT;
    pg_error *e = error ? error : &local;
    pg_model_options o = options ? *options : (pg_model_options){0};
    allocator alloc = api_allocator(o.allocator);
    *out = NULL;
    pg_model *m = api_new(alloc, sizeof *m, e);
    if (!m) return PG_E_NOMEM;
    arena_init(&m->a, alloc, o.memory_limit ? (size_t)o.memory_limit : MEMORY_BASE);
    pg_code code = graph_init(&m->g, &m->a) ? PG_E_OK : error_nomem(e, &m->a);
    if (!code) code = load_any(m, model, &o, e);
    if (!code) code = api_describe(m, model, o.strict, e);
    if (code) {
        error_source(e, model);
        pg_model_free(m);
    } else {
        *out = m;
    }
    return code;
}

void pg_model_free(pg_model *model)
{
    if (!model) return;
    allocator alloc = model->a.alloc;
    load_files_close(model->files);
    arena_free(&model->a);
    api_delete(alloc, model, sizeof *model);
}

const pg_model_info *pg_model_describe(const pg_model *model)
{
    return &model->info;
}

bool pg_builtin_at(size_t i, pg_builtin *out)
{
    const zoo_entry *z = zoo_at(i);
    if (!z) return false;
    *out = (pg_builtin){z->name, z->family, z->description, (double)z->parameters, z->image_size, z->sequence};
    return true;
}
