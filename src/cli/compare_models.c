#include "cli/cli.h"

enum { BATCH_MOST = 1 << 20, DEFAULT_BATCHES = 3 };

/* All that is opened and computed; what a row points to lives as long as the plans do. */
typedef struct session {
    pg_model **models;
    size_t model_count;
    pg_plan **plans;
    size_t plan_count;
    const pg_gpu **gpus;
    size_t gpu_count;
    cli_list precisions, runtimes; /* one NULL: the library's default */
    render_group *groups;
} session;

static void add_gpu(session *s, const pg_gpu *gpu)
{
    for (size_t i = 0; i < s->gpu_count; i++)
        if (s->gpus[i] == gpu) return;
    s->gpus[s->gpu_count++] = gpu;
}

/* "all" is every GPU but the one that is there to be edited. */
static int add_named(cli *c, session *s, const char *name)
{
    if (strcmp(name, "all") == 0) {
        for (size_t i = 0; pg_catalog_at(c->catalog, i); i++)
            if (strcmp(pg_catalog_at(c->catalog, i)->key, "custom") != 0) add_gpu(s, pg_catalog_at(c->catalog, i));
        return EXIT_OK;
    }
    pg_error e = PG_ERROR_INIT;
    bool standard = strcmp(name, "default") == 0;
    const pg_gpu *gpu = standard ? pg_catalog_default(c->catalog) : pg_catalog_find(c->catalog, name, &e);
    if (!gpu) return standard ? cli_fail("there is no default GPU") : cli_error(&e, "--gpus");
    add_gpu(s, gpu);
    return EXIT_OK;
}

static int choose_gpus(cli *c, session *s)
{
    s->gpus = ARENA_ARRAY(&c->memory, const pg_gpu *, pg_catalog_count(c->catalog) + 1);
    if (!s->gpus) return cli_fail("out of memory");
    int status = EXIT_OK;
    const cli_list *names = &c->args.gpus;
    for (size_t i = 0; i < names->count && status == EXIT_OK; i++) status = add_named(c, s, names->items[i]);
    for (size_t i = 0; !names->count && cli_default_gpus[i] && status == EXIT_OK; i++)
        status = add_named(c, s, cli_default_gpus[i]);
    return status;
}

static int choose_models(cli *c)
{
    cli_args *a = &c->args;
    int status = EXIT_OK;
    for (size_t i = 0; i < a->rest.count && status == EXIT_OK; i++) status = cli_add_models(c, a->rest.items[i]);
    if (status == EXIT_OK && !a->models.count)
        return cli_usage(
            c->command,
            "models are needed: files, names of 'phantom-gpu list-models', or org/name of the Hugging Face Hub");
    return status;
}

/* One model at one precision, runtime and batch on all GPUs. Rows of a GPU stand together, `stride` of them. */
static int predict(const cli *c, session *s, pg_plan *plan, render_row *rows, size_t stride, const pg_model_info *info,
                   const char *asked)
{
    for (size_t g = 0; g < s->gpu_count; g++) {
        pg_error e = PG_ERROR_INIT;
        render_row *row = &rows[g * stride];
        row->model = info->name;
        row->path = info->path;
        row->asked = asked;
        row->gpu = s->gpus[g];
        if (pg_plan_predict(plan, s->gpus[g], &row->p, &e) != PG_E_OK) return cli_error(&e, info->name);
        cli_cost(c, row);
    }
    return EXIT_OK;
}

/* Those that were given, else the one that --input-shape or the model says (kept in *one), else the usual ones. */
static cli_numbers choose_batches(cli *c, const pg_model_info *info, int64_t *one)
{
    static int64_t usual[DEFAULT_BATCHES] = {1, 8, 32};
    const cli_numbers *given = &c->args.batches;
    if (given->count) cli_warn_batch(c, info, given->items, given->count);
    *one = c->args.concurrency;
    if (cli_counts_requests(&c->args, info)) return (cli_numbers){one, 1};
    if (given->count) return *given;
    *one = 1;
    bool searched = c->args.request_rate.count || c->args.target_ttft.count || c->args.target_tpot.count;
    if (searched && info->generates) return (cli_numbers){one, 1}; /* the targets say how many */
    if (cli_batch_shape(c, info, one)) return (cli_numbers){one, 1};
    *one = info->fixed_batch;
    if (!info->has_batch) return (cli_numbers){one, 1};
    return (cli_numbers){usual, DEFAULT_BATCHES};
}

static int run_model(cli *c, session *s, const char *name, render_group *group)
{
    int status = cli_open_model(c, &s->models[s->model_count], name, c->args.models.count > 1);
    if (status != EXIT_OK) return status;
    const pg_model_info *info = pg_model_describe(s->models[s->model_count]);
    pg_model *model = s->models[s->model_count++];
    int64_t in_shape;
    const cli_numbers wanted = choose_batches(c, info, &in_shape);
    size_t stride = s->precisions.count * s->runtimes.count * wanted.count, at = 0;
    render_row *rows = ARENA_ARRAY(&c->memory, render_row, stride * s->gpu_count);
    render_best *best = ARENA_ARRAY(&c->memory, render_best, s->gpu_count + 4);
    if (!rows || !best) return cli_fail("out of memory");
    pg_request request = cli_request(c, info, s->model_count - 1);
    for (size_t p = 0; p < s->precisions.count; p++) {
        for (size_t r = 0; r < s->runtimes.count; r++) {
            for (size_t b = 0; b < wanted.count; b++) {
                request.precision = s->precisions.items[p];
                request.runtime = s->runtimes.items[r];
                request.batch = wanted.items[b];
                pg_plan **plan = &s->plans[s->plan_count];
                status = cli_open_plan(c, plan, model, &request, info->name);
                if (status != EXIT_OK) return status;
                s->plan_count++;
                status = predict(c, s, *plan, rows + at++, stride, info, request.precision);
                if (status != EXIT_OK) return status;
            }
        }
    }
    cli_rank(rows, stride * s->gpu_count);
    *group = (render_group){.info = info, .rows = rows, .row_count = stride * s->gpu_count, .best = best};
    group->best_count = cli_best(rows, group->row_count, best);
    return EXIT_OK;
}

static int run_all(cli *c, session *s)
{
    const cli_args *a = &c->args;
    size_t batch_count = a->batches.count ? a->batches.count : DEFAULT_BATCHES;
    const char **standard = ARENA_NEW(&c->memory, const char *);
    if (!standard) return cli_fail("out of memory");
    s->precisions = a->precisions.count ? a->precisions : (cli_list){standard, 1};
    s->runtimes = a->runtimes.count ? a->runtimes : (cli_list){standard, 1};
    size_t plans = a->models.count * s->precisions.count * s->runtimes.count;
    s->models = ARENA_ARRAY(&c->memory, pg_model *, a->models.count);
    s->groups = ARENA_ARRAY(&c->memory, render_group, a->models.count);
    s->plans = plans > SIZE_MAX / batch_count ? NULL : ARENA_ARRAY(&c->memory, pg_plan *, plans * batch_count);
    if (!s->models || !s->groups || !s->plans) return cli_fail("out of memory");
    int status = EXIT_OK;
    for (size_t m = 0; m < a->models.count && status == EXIT_OK; m++)
        status = run_model(c, s, a->models.items[m], &s->groups[m]);
    return status;
}

static int show(cli *c, const session *s)
{
    const pg_prediction *first = s->groups[0].row_count ? &s->groups[0].rows[0].p : NULL;
    render_comparison comparison = {.groups = s->groups,
                                    .count = s->model_count,
                                    .many_precisions = s->precisions.count > 1,
                                    .many_runtimes = s->runtimes.count > 1,
                                    .precision = s->precisions.items[0],
                                    .runtime = first ? first->runtime : s->runtimes.items[0],
                                    .task = first ? first->task : NULL,
                                    .money = c->money,
                                    .warnings = cli_warnings(c)};
    if (!comparison.precision) comparison.precision = first ? first->precision : "";
    if (!comparison.runtime) comparison.runtime = "";
    render_comparison_report(&c->report, &comparison);
    return cli_finish_output(c);
}

static int run(cli *c)
{
    session s = {.models = NULL};
    int status = cli_begin_output(c);
    if (status == EXIT_OK) status = choose_models(c);
    if (status == EXIT_OK) status = cli_check_measured(c, c->args.models.count);
    if (status == EXIT_OK) status = cli_open_catalog(c);
    if (status == EXIT_OK) status = cli_open_market(c, false);
    if (status == EXIT_OK) status = choose_gpus(c, &s);
    if (status == EXIT_OK && c->args.plot && !c->args.pareto)
        status = cli_usage(c->command, "--plot goes with --pareto");
    if (status == EXIT_OK && c->args.pareto && c->args.models.count != 1)
        status = cli_usage(c->command, "--pareto is for one model");
    if (status == EXIT_OK && c->args.pareto) {
        status = cli_pareto(c, c->args.models.items[0], s.gpus, s.gpu_count);
    } else {
        if (status == EXIT_OK) status = run_all(c, &s);
        if (status == EXIT_OK) status = show(c, &s);
    }
    for (size_t i = 0; i < s.plan_count; i++) pg_plan_free(s.plans[i]);
    for (size_t i = 0; i < s.model_count; i++) pg_model_free(s.models[i]);
    return status;
}

#define AT(member) offsetof(cli_args, member)

static const option options[] = {
    {"models", 'm', "A,B,...", OPTION_MODELS, AT(models), 0, 0, NULL,
     "The models: files, names of list-models, or org/name[@revision][:file] of the Hugging Face Hub. May also "
     "stand alone."},
    {"gpus", 'g', "X,Y,...", OPTION_GPUS, AT(gpus), 0, 0, NULL,
     "The GPUs, by default v100,a100,rtx4090,h100; all: every one, default: the default GPU."},
    {"batch-sizes", 'b', "N,...", OPTION_NUMBERS, AT(batches), 1, BATCH_MOST, NULL,
     "Samples in a step; 1,8,32 by default."},
    {"precision", 'p', "P,...", OPTION_CHOICES, AT(precisions), 0, 0, cli_precisions,
     "fp32, tf32, fp16 (the default), bf16, fp8, int8, fp4, int4; several are compared."},
    {"pareto", 0, NULL, OPTION_FLAG, AT(pareto), 0, 0, NULL,
     "Language models: what each user gets against what each GPU makes in serving, over numbers of requests and of GPUs "
     "that share the model."},
    {"plot", 0, "FILE", OPTION_FILE, AT(plot), 0, 0, NULL, "Writes that as an SVG image."},
    {"runtime", 'r', "R,...", OPTION_RUNTIMES, AT(runtimes), 0, 0, NULL,
     "What runs the models: pytorch (the default), onnxruntime, ...; several are compared."},
};
static const option_group group_what = GROUP("What is compared", options);
static const option_group *const groups[] = {
    &group_what,     &group_model, &group_workload, &group_language, &group_parallel,
    &group_measured, &group_cost,  &group_hardware, &group_output,   NULL};
static const char *const examples[] = {
    "compare-models resnet50",
    "On four usual GPUs at batch 1, 8 and 32.",
    "compare-models --models a.onnx,b.onnx --gpus a100,h100 --batch-sizes 1,32",
    "Two models on two GPUs.",
    "compare-models resnet50 --gpus all --precision fp16,int8 --output csv",
    "Everything, for a spreadsheet.",
    "compare-models resnet50 --gpus a100,l4 --include-cost --carbon --region us-east-1",
    "What a million images cost and emit there.",
    NULL,
};

const command command_compare_models = {
    .name = "compare-models",
    .positional = "MODEL...",
    .summary = "Models on GPUs side by side, and the best of each.",
    .text =
        "Predicts every combination of models, GPUs, batch sizes, precisions and runtimes, and shows for each model "
        "the best GPU by throughput, by latency and per watt, the best batch on each GPU, and what doesn't fit.",
    .groups = groups,
    .examples = examples,
    .run = run,
};
