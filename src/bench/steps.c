/* data/fit.toml: which constants are fitted on which rows. It is built in, so a mistake in it is ours; a test reads it. */
#include "api/api.h"
#include "bench/builtin.h"
#include "bench/fit.h"
#include "gpu/schema.h"

typedef struct step_read {
    str name;
    double rounds, evaluations, rows, pull, batch_least, batch_most;
    bool grouped, kernels, squared;
    const toml_node *operators, *precisions, *runtimes, *tasks, *families, *constants, *tables, *setups;
} step_read;

#define REAL(field, low, high)                                                   \
    {                                                                            \
        "", #field, SCHEMA_REAL, offsetof(step_read, field), low, high, false, 0 \
    }
#define FLAG(field)                                                         \
    {                                                                       \
        "", #field, SCHEMA_BOOL, offsetof(step_read, field), 0, 0, false, 0 \
    }
#define TEXTS(field)                                                         \
    {                                                                        \
        "", #field, SCHEMA_TEXTS, offsetof(step_read, field), 0, 0, false, 0 \
    }

static const schema_field fields[] = {
    {"", "name", SCHEMA_TEXT, offsetof(step_read, name), 0, 0, false, 0},
    REAL(rounds, 1, 10),
    REAL(evaluations, 10, 1000),
    REAL(rows, 10, 1e5),
    REAL(pull, 0, 10),
    REAL(batch_least, 0, 1e6),
    REAL(batch_most, 0, 1e7),
    FLAG(grouped),
    FLAG(kernels),
    TEXTS(operators),
    TEXTS(precisions),
    TEXTS(runtimes),
    TEXTS(tasks),
    TEXTS(families),
    TEXTS(constants),
    TEXTS(tables),
    TEXTS(setups),
    FLAG(squared),
};

enum { FIELDS = sizeof fields / sizeof fields[0], KERNELS_FIELD = 8 };

/* The texts of an array as terminated strings, NULL at the end. */
static const char **texts(const toml_node *list, arena *a)
{
    if (!list) return NULL;
    const char **out = ARENA_ARRAY(a, const char *, list->count + 1);
    size_t n = 0;
    for (const toml_node *t = list->is.first; out && t; t = t->next) out[n++] = api_text(a, t->is.text);
    return out;
}

/* Where fits begin: [start] of the file, else cost_constants.start. */
static double start_of(const char *name, const toml_node *root, const toml_node *cost)
{
    const toml_node *own = toml_child(root, "start"), *n = own ? toml_child(own, name) : NULL;
    char table[FIT_NAME_SIZE];
    size_t dot = 0;
    while (name[dot] && name[dot] != '.') dot++;
    format_text(table, sizeof table, "%.*s", (int)dot, name);
    const toml_node *section = toml_child(cost, table);
    if (!n && section && name[dot]) n = toml_child(section, name + dot + 1);
    return !n ? NAN : n->kind == TOML_REAL ? n->is.real : n->kind == TOML_INT ? (double)n->is.integer : NAN;
}

static pg_code read_constants(fit_step *s, const step_read *r, pg_catalog *catalog, const toml_node *root,
                              const toml_node *cost, arena *a, pg_error *e)
{
    const char **names = texts(r->constants, a);
    if (!names || r->constants->count > FIT_CONSTANTS_MOST)
        return error_set(e, PG_E_CONFIG, "step %s needs 1 to %d constants", s->name, FIT_CONSTANTS_MOST);
    s->constants = ARENA_ARRAY(a, fit_constant, r->constants->count);
    if (!s->constants) return error_nomem(e, a);
    for (; names[s->count]; s->count++) {
        fit_constant *c = &s->constants[s->count];
        pg_code code = fit_find(c, catalog, names[s->count], e);
        if (code) return code;
        if (isnan(c->start)) c->start = start_of(c->name, root, cost);
        if (isnan(c->start) || c->start < c->low || c->start > c->high)
            return error_set(e, PG_E_CONFIG, "%s has no start value between %g and %g", c->name, c->low, c->high);
    }
    return PG_E_OK;
}

static pg_code read_step(fit_step *s, const toml_node *n, pg_catalog *catalog, const toml_node *root,
                         const toml_node *cost, arena *a, pg_error *e)
{
    static const schema rules = {fields, FIELDS};
    schema_context at = {a, "fit.toml", "step"};
    step_read r = {.rounds = 1, .evaluations = 100, .rows = 3000, .batch_most = 1e7};
    bool given[FIELDS] = {false};
    pg_code code = schema_read(&rules, n, &at, &r, given, e);
    if (code) return code;
    *s = (fit_step){.name = api_text(a, r.name),
                    .rounds = (int)r.rounds,
                    .evaluations = (int)r.evaluations,
                    .rows = (size_t)r.rows,
                    .pull = r.pull,
                    .grouped = r.grouped,
                    .squared = r.squared,
                    .kernels = given[KERNELS_FIELD] ? r.kernels : -1,
                    .operators = texts(r.operators, a),
                    .precisions = texts(r.precisions, a),
                    .runtimes = texts(r.runtimes, a),
                    .tasks = texts(r.tasks, a),
                    .families = texts(r.families, a),
                    .tables = texts(r.tables, a),
                    .setups = texts(r.setups, a),
                    .batch_least = (int64_t)r.batch_least,
                    .batch_most = (int64_t)r.batch_most};
    if (!s->name || a->failed) return error_nomem(e, a);
    return read_constants(s, &r, catalog, root, cost, a, e);
}

pg_code fit_steps_read(fit_steps *out, pg_catalog *catalog, arena *a, pg_error *e)
{
    toml_node *root, *cost;
    *out = (fit_steps){.count = 0};
    pg_code code = toml_parse(a, bench_fit_steps(), "fit.toml", &root, e);
    if (!code) code = toml_parse(a, bench_fit_start(), "cost_constants.start", &cost, e);
    if (code) return code;
    const toml_node *list = toml_child(root, "step");
    if (!list || list->kind != TOML_ARRAY || list->count > FIT_STEPS_MOST)
        return error_set(e, PG_E_CONFIG, "fit.toml needs [[step]], at most %d times", FIT_STEPS_MOST);
    for (const toml_node *n = list->is.first; n && !code; n = n->next)
        code = read_step(&out->list[out->count++], n, catalog, root, cost, a, e);
    return code;
}

const fit_step *fit_step_find(const fit_steps *s, const char *name, pg_error *e)
{
    for (int i = 0; i < s->count; i++)
        if (!strcmp(s->list[i].name, name)) return &s->list[i];
    error_set(e, PG_E_NOT_FOUND, "fit.toml has no step '%.60s'", name);
    return NULL;
}

void fit_step_start(const fit_step *s)
{
    for (int i = 0; i < s->count; i++) *s->constants[i].at = s->constants[i].start;
}

static bool listed(const char *const *list, const char *name)
{
    for (size_t i = 0; list && list[i]; i++)
        if (!strcmp(list[i], name)) return true;
    return !list;
}

static bool begins(const char *const *list, const char *family)
{
    for (size_t i = 0; list && list[i]; i++)
        if (str_starts(str_c(family), list[i])) return true;
    return !list;
}

bool fit_step_takes(const fit_step *s, const bench_point *p)
{
    const bench_row *r = p->row;
    char operator[48] = "";
    bool lone = str_starts(str_c(r->model), "op:");
    int64_t batch = r->batch > 0 ? r->batch : 1;
    if (p->skipped || !(bench_seconds(r) > 0) || (s->kernels >= 0 && s->kernels != lone)) return false;
    if (lone) {
        size_t n = 3;
        while (r->model[n] && r->model[n] != ':') n++;
        format_text(operator, sizeof operator, "%.*s", (int)(n - 3), r->model + 3);
    }
    if (lone ? !listed(s->operators, operator) : batch < s->batch_least || batch > s->batch_most) return false;
    if (!lone && !begins(s->families, p->family)) return false;
    return listed(s->precisions, bench_precision(r)) && listed(s->runtimes, bench_runtime(r)) &&
           listed(s->tasks, bench_task_name(r->task)) && listed(s->setups, bench_setup_name(r));
}
