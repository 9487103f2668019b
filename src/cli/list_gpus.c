#include "cli/cli.h"

static int run(cli *c)
{
    int status = cli_begin_output(c);
    if (status == EXIT_OK) status = cli_open_catalog(c);
    if (status != EXIT_OK) return status;
    size_t count = pg_catalog_count(c->catalog);
    const pg_gpu **gpus = ARENA_ARRAY(&c->memory, const pg_gpu *, count);
    if (!gpus) return cli_fail("out of memory");
    for (size_t i = 0; i < count; i++) gpus[i] = pg_catalog_at(c->catalog, i);
    render_gpus(&c->report, gpus, count, GPU_BASIC, cli_warnings(c));
    return cli_finish_output(c);
}

static const option options[] = {
    {"hardware-profiles", 0, "FILE", OPTION_FILE, offsetof(cli_args, profiles), 0, 0, NULL,
     "GPUs of your own: a TOML file that goes before all others."},
};
static const option_group group_files = GROUP("Hardware", options);
static const option_group *const groups[] = {&group_files, &group_output, NULL};
static const char *const examples[] = {
    "list-gpus",
    "All GPUs with memory, bandwidth and peaks.",
    "list-gpus --output csv --out gpus.csv",
    "The same for a spreadsheet.",
    NULL,
};

const command command_list_gpus = {
    .name = "list-gpus",
    .summary = "The GPUs: memory, bandwidth, peaks, architecture.",
    .text = "Lists the GPUs that --gpu and --gpus take, from the built-in tables and your own files. Names match "
            "whatever their case, spaces, '-' and '_', and by alias.",
    .groups = groups,
    .examples = examples,
    .run = run,
};
