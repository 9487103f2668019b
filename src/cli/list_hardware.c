#include "cli/cli.h"

static int choose(cli *c, const pg_gpu **gpus, size_t *count)
{
    const cli_list *wanted = &c->args.gpus;
    *count = wanted->count ? 0 : pg_catalog_count(c->catalog);
    for (size_t i = 0; i < *count; i++) gpus[i] = pg_catalog_at(c->catalog, i);
    for (size_t i = 0; i < wanted->count; i++) {
        pg_error e = PG_ERROR_INIT;
        const pg_gpu *gpu = pg_catalog_find(c->catalog, wanted->items[i], &e);
        if (!gpu) return cli_error(&e, "--gpu");
        gpus[(*count)++] = gpu;
    }
    return EXIT_OK;
}

static int run(cli *c)
{
    int status = cli_begin_output(c);
    if (status == EXIT_OK) status = cli_open_catalog(c);
    if (status != EXIT_OK) return status;
    size_t count;
    const pg_gpu **gpus = ARENA_ARRAY(&c->memory, const pg_gpu *, pg_catalog_count(c->catalog) + c->args.gpus.count);
    if (!gpus) return cli_fail("out of memory");
    status = choose(c, gpus, &count);
    if (status != EXIT_OK) return status;
    bool all = c->args.verbose || c->args.gpus.count == 1;
    render_gpus(&c->report, gpus, count, all ? GPU_ALL : GPU_PROFILES, cli_warnings(c));
    return cli_finish_output(c);
}

static const option options[] = {
    {"gpu", 'g', "G", OPTION_GPUS, offsetof(cli_args, gpus), 0, 0, NULL, "Only these, separated by commas."},
    {"verbose", 'v', NULL, OPTION_FLAG, offsetof(cli_args, verbose), 0, 0, NULL, "Each with its figures one by one."},
    {"hardware-profiles", 0, "FILE", OPTION_FILE, offsetof(cli_args, profiles), 0, 0, NULL,
     "GPUs of your own: a TOML file that goes before all others."},
};
static const option_group group_choice = GROUP("Hardware", options);
static const option_group *const groups[] = {&group_choice, &group_output, NULL};
static const char *const examples[] = {
    "list-hardware",
    "Units, caches, clocks and power of all GPUs.",
    "list-hardware --gpu a100",
    "The figures of the A100 one by one.",
    NULL,
};

const command command_list_hardware = {
    .name = "list-hardware",
    .summary = "The GPUs in detail: units, caches, clocks, power.",
    .text =
        "Lists the hardware profiles that predictions are made from. One GPU, or --verbose, shows the figures one by "
        "one under the names of the TOML files, without idle power and model_performance.",
    .groups = groups,
    .examples = examples,
    .run = run,
};
