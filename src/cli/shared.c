/* What load-model and compare-models have in common: options, and the way from them to a plan. */
#include "cli/cli.h"

enum { BATCH_MOST = 1 << 20, SEQUENCE_MOST = 1 << 24, IMAGE_MOST = 1 << 16 };

const char *const cli_precisions[] = {"fp32", "tf32", "fp16", "bf16", "fp8", "int8", NULL};
const char *const cli_default_gpus[] = {"v100", "a100", "rtx4090", "h100", NULL};

static const char *const formats[] = {"onnx", NULL};
static const char *const tasks[] = {"inference", NULL};
static const char *const layouts[] = {"nchw", "nhwc", NULL};
static const char *const outputs[] = {"table", "json", "csv", "markdown", NULL};

#define AT(member) offsetof(cli_args, member)

static const option model_options[] = {
    {"format", 'f', "F", OPTION_CHOICE, AT(format), 0, 0, formats,
     "The format of the model's file: onnx. Without it the bytes decide."},
    {"input-shape", 0, "NAME=DIMS", OPTION_SHAPE, AT(shapes), 0, 0, NULL,
     "The shape of an input, as in input=1x3x224x224. May be given for several inputs."},
    {"image-size", 0, "N", OPTION_NUMBER, AT(image_size), 1, IMAGE_MOST, NULL, "Height and width of input images."},
    {"seq-len", 0, "N", OPTION_NUMBER, AT(sequence), 1, SEQUENCE_MOST, NULL, "Length of input sequences."},
    {"strict", 0, NULL, OPTION_FLAG, AT(strict), 0, 0, NULL,
     "An operator that is not known is an error instead of a warning."},
};
const option_group group_model = GROUP("Model", model_options);

static const option workload_options[] = {
    {"task", 0, "TASK", OPTION_CHOICE, AT(task), 0, 0, tasks, "inference: one forward pass over the batch."},
    {"layout", 0, "L", OPTION_CHOICE, AT(layout), 0, 0, layouts,
     "Memory layout of images: nchw (the default) or nhwc."},
    {"autocast", 0, NULL, OPTION_FLAG, AT(autocast), 0, 0, NULL,
     "Weights stay fp32 and are cast on every step, as torch.autocast does."},
};
const option_group group_workload = GROUP("Workload", workload_options);

static const option hardware_options[] = {
    {"fast-mode", 0, NULL, OPTION_FLAG, AT(fast_mode), 0, 0, NULL,
     "The plain roofline from data sheets: an upper bound."},
    {"real-hardware", 0, NULL, OPTION_FLAG, AT(real_hardware), 0, 0, NULL,
     "Clocks as they are after minutes of load, under thermal and power limits."},
    {"hardware-profiles", 0, "FILE", OPTION_FILE, AT(profiles), 0, 0, NULL,
     "GPUs of your own: a TOML file that goes before all others."},
};
const option_group group_hardware = GROUP("Hardware", hardware_options);

static const option output_options[] = {
    {"output", 'o', "FORMAT", OPTION_CHOICE, AT(output), 0, 0, outputs, "table (the default), json, csv or markdown."},
    {"json", 'j', NULL, OPTION_FLAG, AT(json), 0, 0, NULL, "Short for --output json."},
    {"out", 0, "FILE", OPTION_FILE, AT(out), 0, 0, NULL, "Writes to a file, whole or not at all, instead of stdout."},
};
const option_group group_output = GROUP("Output", output_options);

int cli_open_catalog(cli *c)
{
    pg_error e = PG_ERROR_INIT;
    pg_catalog_options options = {.hardware_profiles = c->args.profiles};
    if (pg_catalog_open(&c->catalog, &options, &e) != PG_E_OK) return cli_error(&e, c->args.profiles);
    for (size_t i = 0; i < pg_catalog_warning_count(c->catalog); i++)
        cli_warn(c, NULL, pg_catalog_warning(c->catalog, i));
    return EXIT_OK;
}

int cli_open_model(cli *c, pg_model **out, const char *name, bool many)
{
    pg_error e = PG_ERROR_INIT;
    const cli_args *a = &c->args;
    pg_model_options options = {.format = a->format,
                                .image_size = (int)a->image_size,
                                .input_shapes = a->shapes.items,
                                .input_shape_count = a->shapes.count,
                                .strict = a->strict};
    if (pg_model_open(out, name, &options, &e) != PG_E_OK) return cli_error(&e, name);
    const pg_model_info *info = pg_model_describe(*out);
    for (size_t i = 0; i < info->warning_count; i++) cli_warn(c, many ? info->name : NULL, info->warnings[i]);
    if (a->sequence && !info->sequence_symbol)
        cli_warn(c, many ? info->name : NULL, "--seq-len has no effect: this model has no sequence of free length");
    return EXIT_OK;
}

static int place_of(const char *const *names, const char *name)
{
    for (int i = 0; name && names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

pg_request cli_request(const cli *c)
{
    const cli_args *a = &c->args;
    static const pg_layout of_layout[] = {PG_LAYOUT_NCHW, PG_LAYOUT_NHWC};
    int layout = place_of(layouts, a->layout);
    return (pg_request){.batch = a->batch,
                        .sequence = a->sequence,
                        .precision = a->precision,
                        .runtime = a->runtime,
                        .layout = layout < 0 ? PG_LAYOUT_DEFAULT : of_layout[layout],
                        .autocast = a->autocast,
                        .fast_mode = a->fast_mode,
                        .real_hardware = a->real_hardware};
}

int cli_open_plan(cli *c, pg_plan **out, const pg_model *model, const pg_request *request, const char *about)
{
    pg_error e = PG_ERROR_INIT;
    pg_code code = pg_plan_open(out, model, c->catalog, request, &e);
    /* what was asked for wrongly is no fault of the model */
    if (code != PG_E_OK) return cli_error(&e, code == PG_E_USAGE || code == PG_E_NOT_FOUND ? NULL : about);
    for (size_t i = 0; i < pg_plan_warning_count(*out); i++) cli_warn(c, about, pg_plan_warning(*out, i));
    return EXIT_OK;
}
