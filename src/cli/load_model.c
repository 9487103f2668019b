#include "cli/cli.h"

enum { BATCH_MOST = 1 << 20, ROWS_MOST = 8, TOP_MOST = 100000 };

/* What is opened for one run, so that one place closes it. */
typedef struct session {
    pg_model *model;
    pg_plan *plan;
    pg_explanation *explanation;
    render_row rows[ROWS_MOST];
    size_t row_count;
} session;

static int predict(session *s, const cli *c, const pg_gpu *gpu)
{
    pg_error e = PG_ERROR_INIT;
    render_row *row = &s->rows[s->row_count];
    row->model = pg_model_describe(s->model)->name;
    row->path = pg_model_describe(s->model)->path;
    row->asked = c->args.precision;
    row->gpu = gpu;
    if (pg_plan_predict(s->plan, gpu, &row->p, &e) != PG_E_OK) return cli_error(&e, row->model);
    cli_cost(c, row);
    s->row_count++;
    return EXIT_OK;
}

/* Without --gpu the usual ones stand beside the default GPU. */
static int predict_others(session *s, const cli *c, const pg_gpu *first)
{
    int status = EXIT_OK;
    for (size_t i = 0; cli_default_gpus[i] && s->row_count < ROWS_MOST && status == EXIT_OK; i++) {
        pg_error e = PG_ERROR_INIT;
        const pg_gpu *gpu = pg_catalog_find(c->catalog, cli_default_gpus[i], &e);
        if (gpu && gpu != first) status = predict(s, c, gpu);
    }
    cli_rank(s->rows, s->row_count);
    return status;
}

/* --explain and --trace: a step that can't run has no time to explain. */
static int explain(cli *c, session *s, const pg_gpu *gpu)
{
    pg_error e = PG_ERROR_INIT;
    const render_row *row = &s->rows[0];
    bool data = c->report.format == RENDER_JSON || c->report.format == RENDER_CSV;
    if (!c->args.explain && !c->args.trace) return EXIT_OK;
    bool timed = render_is_timed(&row->p);
    if (!timed && c->args.trace)
        return cli_fail(row->p.fits ? "--trace: the runtime for %s is none for %s, so there is no step to write"
                                    : "--trace: %s doesn't fit on %s, so there is no step to write",
                        row->model, row->p.gpu);
    if (!timed && data)
        cli_warn(c, row->model,
                 row->p.fits ? "its runtime is none for this GPU, so --explain has no kernels to show"
                             : "it doesn't fit on the GPU, so --explain has no kernels to show");
    if (!timed) return EXIT_OK;
    if (pg_plan_explain(&s->explanation, s->plan, gpu, &e) != PG_E_OK) return cli_error(&e, row->model);
    if (c->args.trace) render_trace(&c->trace, row, s->explanation);
    return EXIT_OK;
}

static int open_and_predict(cli *c, session *s, const char *name, const pg_gpu *gpu)
{
    int status = cli_open_model(c, &s->model, name, false);
    if (status != EXIT_OK) return status;
    const pg_model_info *info = pg_model_describe(s->model);
    if (info->no_graph && !info->generates && !c->args.explain && !c->args.trace)
        return EXIT_OK; /* what is known of it is shown */
    pg_request request = cli_request(c, info, 0);
    if (request.batch) cli_warn_batch(c, info, &request.batch, 1);
    else cli_batch_shape(c, info, &request.batch);
    if (!request.batch && !info->has_batch && info->fixed_batch > 0) request.batch = info->fixed_batch;
    status = cli_open_plan(c, &s->plan, s->model, &request, info->name);
    if (status == EXIT_OK) status = predict(s, c, gpu);
    if (status == EXIT_OK && !c->args.gpu) status = predict_others(s, c, gpu);
    return status == EXIT_OK ? explain(c, s, gpu) : status;
}

static int show(cli *c, session *s)
{
    render_model m = {
        .info = pg_model_describe(s->model), .rows = s->rows, .row_count = s->row_count, .money = c->money};
    m.explain = c->args.explain;
    if (s->explanation && c->args.explain) {
        m.explanation = cli_explain(c, s->explanation);
        if (!m.explanation) return cli_fail("out of memory");
    }
    m.warnings = cli_warnings(c);
    render_model_report(&c->report, &m);
    return cli_finish_output(c);
}

static int run(cli *c)
{
    const char *name;
    session s = {.model = NULL};
    pg_error e = PG_ERROR_INIT;
    if (c->args.top || c->args.sort) c->args.explain = true;
    int status = cli_begin_output(c);
    if (status == EXIT_OK) status = cli_one_model(c, &name);
    if (status == EXIT_OK) status = cli_check_measured(c, 1);
    if (status == EXIT_OK) status = cli_open_catalog(c);
    if (status == EXIT_OK) status = cli_open_market(c, false);
    if (status != EXIT_OK) return status;
    const pg_gpu *gpu = c->args.gpu ? pg_catalog_find(c->catalog, c->args.gpu, &e) : pg_catalog_default(c->catalog);
    if (!gpu && c->args.gpu && strchr(c->args.gpu, ','))
        return cli_usage(c->command, "--gpu: '%s' is more than one GPU; compare-models takes several", c->args.gpu);
    if (!gpu) return c->args.gpu ? cli_error(&e, "--gpu") : cli_fail("there is no default GPU; --gpu names one");
    status = open_and_predict(c, &s, name, gpu);
    if (status == EXIT_OK) status = show(c, &s);
    pg_explanation_free(s.explanation);
    pg_plan_free(s.plan);
    pg_model_free(s.model);
    return status;
}

static const char *const sorts[] = {"time", "order", NULL};

#define AT(member) offsetof(cli_args, member)

static const option options[] = {
    {"model", 'm', "M", OPTION_MODEL, AT(model), 0, 0, NULL,
     "The model: a file, a name of list-models, or org/name[@revision][:file] of the Hugging Face Hub. May also "
     "stand alone."},
    {"gpu", 'g', "G", OPTION_GPU, AT(gpu), 0, 0, NULL,
     "The GPU. Without it: the default one in full, and some others beside it."},
    {"batch-size", 'b', "N", OPTION_NUMBER, AT(batch), 1, BATCH_MOST, NULL, "Samples in a step; 1 by default."},
    {"precision", 'p', "P", OPTION_CHOICE, AT(precision), 0, 0, cli_precisions,
     "fp32, tf32, fp16 (the default), bf16, fp8, int8, fp4 or int4."},
    {"runtime", 'r', "R", OPTION_RUNTIME, AT(runtime), 0, 0, NULL,
     "What runs the model: pytorch (the default), onnxruntime, ..."},
};
static const option explain_options[] = {
    {"explain", 'e', NULL, OPTION_FLAG, AT(explain), 0, 0, NULL, "Shows where the time goes, kernel by kernel."},
    {"top", 0, "N", OPTION_NUMBER, AT(top), 1, TOP_MOST, NULL,
     "Shows the N longest kernels, 20 by default. Implies --explain."},
    {"sort", 0, "ORDER", OPTION_CHOICE, AT(sort), 0, 0, sorts,
     "The kernels shown, time: the longest first (the default); order: as they run. Implies --explain."},
    {"trace", 0, "FILE", OPTION_FILE, AT(trace), 0, 0, NULL,
     "Writes the step as a trace for chrome://tracing and Perfetto."},
};
static const option_group group_what = GROUP("What runs where", options);
static const option_group group_explain = GROUP("Explanation", explain_options);
static const option_group *const groups[] = {&group_what,
                                             &group_model,
                                             &group_workload,
                                             &group_language,
                                             &group_parallel,
                                             &group_measured,
                                             &group_explain,
                                             &group_cost,
                                             &group_hardware,
                                             &group_output,
                                             NULL};
static const char *const examples[] = {
    "load-model resnet50",
    "What ResNet-50 is and how it runs on the default GPU, others beside it.",
    "load-model model.onnx --gpu h100 --batch-size 32 --explain",
    "Where the time of a step of 32 goes on an H100.",
    "load-model model.onnx --input-shape image=1x3x512x512 --json",
    "For programs.",
    "load-model llama-7b --gpu a100 --tensor-parallel 4",
    "On four GPUs that divide each layer.",
    "load-model bert-base-uncased --seq-len 384 --trace step.json",
    "A step to look at in Perfetto.",
    "load-model model.onnx --gpu h100 --batch-size 32 --measured-on rtx3090 --measured-ms 12.3",
    "A model that takes 12.3 ms on your RTX 3090: nearer than without.",
    NULL,
};

const command command_load_model = {
    .name = "load-model",
    .positional = "MODEL",
    .summary = "What a model is, and how it runs on one GPU.",
    .text = "Shows what a model is (parameters, operators, inputs, outputs, arithmetic, memory) and how it will run on "
            "a GPU: latency with its 80 % interval, throughput, memory, use of the GPU and power, and what limits it.",
    .groups = groups,
    .examples = examples,
    .run = run,
};
