/* The command line: one table of commands, for each a table of options that makes the parser, --help, the man page and
 * the completions. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "phantom/phantom.h"
#include "phantom/prices.h"
#include "render/render.h"

#define CLI_PROGRAM "phantom-gpu"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CHECK = 3 };

/* What an option takes; also tells the completions what to offer. */
typedef enum option_kind {
    OPTION_FLAG,    /* bool */
    OPTION_TEXT,    /* const char * */
    OPTION_FILE,    /* const char * */
    OPTION_GPU,     /* const char * */
    OPTION_MODEL,   /* const char * */
    OPTION_RUNTIME, /* const char * */
    OPTION_CHOICE,  /* const char *, one of choices */
    OPTION_NUMBER,  /* int64_t, from min to max */
    OPTION_REAL,    /* double, above min and at most max */
    OPTION_FILES,   /* cli_list, one each; several such options add up */
    OPTION_TEXTS,   /* cli_list, comma separated; several such options add up */
    OPTION_GPUS,
    OPTION_MODELS,
    OPTION_RUNTIMES,
    OPTION_CHOICES,
    OPTION_NUMBERS, /* cli_numbers */
    OPTION_REALS,   /* cli_reals, each above min and at most max */
    OPTION_SHAPE    /* cli_shapes */
} option_kind;

typedef struct option {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* as --help names it; NULL for a flag */
    option_kind kind;
    size_t offset; /* in cli_args */
    int64_t min, max;
    const char *const *choices; /* ends with NULL */
    const char *help;
} option;

typedef struct option_group {
    const char *title;
    const option *options;
    size_t count;
} option_group;

#define GROUP(title, array)                              \
    {                                                    \
        title, array, sizeof(array) / sizeof((array)[0]) \
    }

typedef struct cli_list {
    const char **items;
    size_t count;
} cli_list;

typedef struct cli_numbers {
    int64_t *items;
    size_t count;
} cli_numbers;

typedef struct cli_reals {
    double *items;
    size_t count;
} cli_reals;

typedef struct cli_shapes {
    pg_input_shape *items;
    size_t count;
} cli_shapes;

/* The options of all commands; a command has some of them. */
typedef struct cli_args {
    bool help, json, verbose, explain, strict, offline, autocast, fast_mode, real_hardware, gradient_checkpointing,
        first_run, pareto, force, refresh;
    const char *model, *format, *signature, *architecture, *gpu, *precision, *runtime, *task, *optimizer, *layout,
        *sort;
    const char *trace, *profiles, *output, *out, *split, *plot, *write;
    cli_list files; /* --benchmark-data */
    cli_reals max_error;
    cli_list models, gpus, precisions, runtimes;
    cli_numbers batches;
    int64_t batch, sequence, image_size, top; /* 0: not given */
    int64_t input_len, output_len, concurrency, lora_rank, speculative;
    int64_t max_requests, max_step_tokens, poll_steps, batch_wait_steps; /* 0: not given */
    cli_reals request_rate, target_ttft, target_tpot;                    /* of one number each */
    int64_t gpu_layers;                                                  /* -1: not given */
    const char *quantization, *cache_precision;
    const char *measured_on;
    cli_reals measured_ms;
    int64_t measured_batch;
    int64_t gpu_count, data_parallel, tensor_parallel, pipeline_parallel, expert_parallel, zero_stage, micro_batches;
    cli_shapes shapes;
    bool include_cost, carbon, spot, own;
    cli_list clouds, regions;
    const char *prices, *currency, *today, *api_key;
    double carbon_intensity;                                   /* g/kWh; 0: not given */
    double accepted, batch_wait_share, shortest_share;         /* 0: not given */
    double budget, target_throughput, max_latency, carbon_cap; /* 0: not given */
    const char *budget_period, *rank, *place;
    int64_t max_gpus;
    cli_numbers warn_at;
    cli_list rest; /* arguments that are no options */
} cli_args;

typedef struct cli cli;

typedef struct command {
    const char *name;
    const char *positional;            /* "MODEL", "MODEL..." or NULL */
    const char *summary;               /* one line */
    const char *text;                  /* a paragraph or more, separated by empty lines */
    const option_group *const *groups; /* ends with NULL */
    const char *const *examples;       /* a command and its meaning by turns; ends with NULL */
    int (*run)(cli *c);
} command;

/* All commands in the order of --help; ends with NULL. */
extern const command *const cli_commands[];
extern const command command_list_gpus, command_list_hardware, command_list_models, command_load_model,
    command_compare_models, command_validate, command_calibrate, command_prices, command_recommend_gpu;

/* Everything of one run of the program. */
struct cli {
    const command *command;
    cli_args args;
    arena memory; /* arguments, cells, rows */
    buffer out;   /* what will be printed */
    buffer trace; /* what will be written to --trace, --plot or --write */
    report report;
    pg_catalog *catalog;
    pg_market *market; /* NULL: no prices were asked for */
    pg_market_query query;
    render_money money;
    const char **warnings;
    size_t warning_count, warning_cap;
};

/* options.c: fills c->args; EXIT_OK, or EXIT_USAGE with the message printed. */
int cli_parse(cli *c, int argc, char **argv);
/* Group i of a command's options, the common ones last; NULL past the end. */
const option_group *cli_group(const command *cmd, size_t i);
/* Of `names` (ends with NULL) the one that was probably meant, or NULL. */
const char *cli_suggest(const char *word, const char *const *names);

/* values.c: one value of an option into c->args. */
int cli_set_option(cli *c, const option *o, const char *value);
/* Adds to c->args.models: split at commas unless a file has that very name. */
int cli_add_models(cli *c, const char *text);

/* message.c: "phantom-gpu: text" on stderr, names made harmless. */
int cli_usage(const command *cmd, const char *fmt, ...) PRINTF_LIKE(2, 3);
int cli_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* "phantom-gpu: source: path: text"; `about` stands in where the error names no source. Returns the exit status. */
int cli_error(const pg_error *e, const char *about);
/* Says a warning once; with JSON it goes into the document instead. `about`: what it is about, or NULL. */
void cli_warn(cli *c, const char *about, const char *text);
render_warnings cli_warnings(const cli *c);

/* output.c */
extern const allocator cli_allocator;
render_style cli_style(int fd);
/* Chooses format and style by the arguments. */
int cli_begin_output(cli *c);
/* Writes c->out (to --out, or stdout) and c->trace (to --trace, --plot or --write), all or nothing. */
int cli_finish_output(cli *c);
int cli_write_stdout(const buffer *b);

/* help.c, man.c, complete.c */
void cli_help(buffer *out, const render_style *style);
void cli_help_command(buffer *out, const render_style *style, const command *cmd);
void cli_man(buffer *out);
int cli_generate(const char *what);

/* shared.c: what load-model and compare-models have in common. */
extern const option_group group_model, group_workload, group_language, group_parallel, group_measured, group_hardware,
    group_output;
extern const char *const cli_precisions[];
int cli_open_catalog(cli *c);
/* --model, or the one argument that is no option. */
int cli_one_model(cli *c, const char **name);
int cli_open_model(cli *c, pg_model **out, const char *name, bool many);
/* inapplicable.c: warns of what was asked for and has no effect on this model or task; cli_open_model calls it. */
void cli_warn_inapplicable(cli *c, const pg_model_info *info);
bool cli_has_images(const pg_model_info *info);
/* What is asked of a model where --task does not say: of one that generates text, how fast it does. A time that somebody measured
 * is that of a forward pass. */
pg_task cli_task(const cli_args *a, const pg_model_info *info);
/* Whether --concurrency says how many requests there are, so that no batch size does. */
bool cli_counts_requests(const cli_args *a, const pg_model_info *info);
/* What was asked for as far as it applies to the model, which is the n-th of those named. */
pg_request cli_request(const cli *c, const pg_model_info *info, size_t model);
/* The options of a measurement that don't go together; `models` of them are predicted. */
int cli_check_measured(const cli *c, size_t models);
/* The --input-shape that names the model's batch, and that batch; NULL: none does. */
const pg_input_shape *cli_batch_shape(const cli *c, const pg_model_info *info, int64_t *batch);
/* The batches that were given beside such a shape should hold its own. */
void cli_warn_batch(cli *c, const pg_model_info *info, const int64_t *batches, size_t count);
/* Warnings of the plan go to c. */
int cli_open_plan(cli *c, pg_plan **out, const pg_model *model, const pg_request *request, const char *about);
/* The GPUs that are compared by default; ends with NULL. */
extern const char *const cli_default_gpus[];

/* costs.c: prices and carbon beside predictions. */
extern const option_group group_cost;
/* Opens the market where the options ask for it, or always; and checks those options. */
int cli_open_market(cli *c, bool always);
/* --today, or the day of the clock; NULL: out of memory. */
const char *cli_today(cli *c);
/* update.c: prices update */
int cli_update_prices(cli *c);
void cli_cost(const cli *c, render_row *row);

/* pareto.c: compare-models --pareto, for the models and GPUs of a comparison. */
int cli_pareto(cli *c, const char *model, const pg_gpu *const *gpus, size_t gpu_count);

/* best.c: marks the best rows of a model and lists them; rows of one GPU stand together. */
void cli_rank(render_row *rows, size_t count);
size_t cli_best(const render_row *rows, size_t count, render_best *best);

/* progress.c: what is being fetched, on a terminal and only when it takes long. `ud` is a cli_progress that was begun. */
typedef struct cli_progress {
    double start_s, drawn_s;
    bool shown;
} cli_progress;
void cli_progress_begin(cli_progress *p);
void cli_progress_show(void *ud, const char *what, uint64_t done, uint64_t total);
void cli_progress_end(cli_progress *p);

/* explain.c: sorts, cuts and sums up; everything is in c->memory. */
const render_explanation *cli_explain(cli *c, const pg_explanation *e);

#endif
