#include "cli/cli.h"

static int run(cli *c)
{
    int status = cli_begin_output(c);
    if (status != EXIT_OK) return status;
    size_t count = 0;
    pg_builtin b;
    while (pg_builtin_at(count, &b)) count++;
    pg_builtin *models = ARENA_ARRAY(&c->memory, pg_builtin, count);
    if (!models) return cli_fail("out of memory");
    for (size_t i = 0; i < count; i++) pg_builtin_at(i, &models[i]);
    render_builtins(&c->report, models, count);
    return cli_finish_output(c);
}

static const option_group *const groups[] = {&group_output, NULL};
static const char *const examples[] = {"list-models", "The names that --model takes besides files.", NULL};

const command command_list_models = {
    .name = "list-models",
    .summary = "The built-in models.",
    .text = "Lists the models that are known by name; any other is given as a file.",
    .groups = groups,
    .examples = examples,
    .run = run,
};
