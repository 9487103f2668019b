/* What load-model and compare-models have in common: options, and the way from them to a plan. */
#include "cli/cli.h"

enum {
    BATCH_MOST = 1 << 20,
    SEQUENCE_MOST = 1 << 24,
    IMAGE_MOST = 1 << 16,
    MEASURED_MOST = 100000000,
    GPUS_MOST = 4096
};

const char *const cli_precisions[] = {"fp32", "tf32",  "fp16",  "bf16", "fp8", "int8",
                                      "fp4",  "nvfp4", "mxfp4", "int4", NULL};
const char *const cli_default_gpus[] = {"v100", "a100", "rtx4090", "h100", NULL};

static const char *const formats[] = {"onnx",        "tensor-flow", "tflite",       "keras", "pytorch",
                                      "safetensors", "gguf",        "hugging-face", NULL};
static const char *const tasks[] = {"inference", "training", "prefill", "decode", "serving", NULL};
static const char *const cache_precisions[] = {"fp32", "fp16", "bf16", "fp8", "int8", "fp4", "int4", NULL};
static const char *const optimizers[] = {"none", "sgd", "adamw", NULL};
static const char *const layouts[] = {"nchw", "nhwc", NULL};
static const char *const outputs[] = {"table", "json", "csv", "markdown", NULL};

#define AT(member) offsetof(cli_args, member)

static const option model_options[] = {
    {"format", 'f', "F", OPTION_CHOICE, AT(format), 0, 0, formats,
     "The format of the model's file or folder. Without it the bytes decide."},
    {"signature", 0, "NAME", OPTION_TEXT, AT(signature), 0, 0, NULL,
     "Which signature of a TensorFlow model runs, or which model of a torch.export archive. Without it serving_default or model, else the only one."},
    {"architecture", 0, "NAME", OPTION_TEXT, AT(architecture), 0, 0, NULL,
     "Files of weights alone: the built-in model that they are weights of (see list-models). Without it their names and "
     "shapes tell, where they can."},
    {"input-shape", 0, "NAME=DIMS", OPTION_SHAPE, AT(shapes), 0, 0, NULL,
     "The shape of an input, as in input=1x3x224x224. May be given for several inputs; the batch in it counts where no "
     "batch size is given."},
    {"image-size", 0, "N", OPTION_NUMBER, AT(image_size), 1, IMAGE_MOST, NULL, "Height and width of input images."},
    {"seq-len", 0, "N", OPTION_NUMBER, AT(sequence), 1, SEQUENCE_MOST, NULL, "Length of input sequences."},
    {"offline", 0, NULL, OPTION_FLAG, AT(offline), 0, 0, NULL,
     "Nothing is fetched: of the Hugging Face Hub only what its cache holds, as with HF_HUB_OFFLINE=1."},
    {"strict", 0, NULL, OPTION_FLAG, AT(strict), 0, 0, NULL,
     "An operator that is not known is an error instead of a warning."},
};
const option_group group_model = GROUP("Model", model_options);

static const option workload_options[] = {
    {"task", 0, "TASK", OPTION_CHOICE, AT(task), 0, 0, tasks,
     "inference: one forward pass over the batch; training: a full step of forward pass, loss, backward pass and "
     "optimizer. Of language models: prefill, the prompts; decode, the tokens that follow, with the prompts' time "
     "beside it; serving, requests that come and go. Default: decode for language models, inference for others."},
    {"optimizer", 0, "O", OPTION_CHOICE, AT(optimizer), 0, 0, optimizers,
     "The optimizer of a training step: adamw (the default), sgd (with momentum) or none (gradients only)."},
    {"gradient-checkpointing", 0, NULL, OPTION_FLAG, AT(gradient_checkpointing), 0, 0, NULL,
     "Training that keeps what goes into each block of the model and runs the block again for the backward pass: slower, "
     "and less memory for activations."},
    {"layout", 0, "L", OPTION_CHOICE, AT(layout), 0, 0, layouts,
     "Memory layout of images: nchw (the default) or nhwc."},
    {"autocast", 0, NULL, OPTION_FLAG, AT(autocast), 0, 0, NULL,
     "Weights stay fp32 and are cast on every step, as torch.autocast does."},
};
const option_group group_workload = GROUP("Workload", workload_options);

static const option language_options[] = {
    {"input-len", 0, "N", OPTION_NUMBER, AT(input_len), 1, SEQUENCE_MOST, NULL, "Tokens of a prompt; 512 by default."},
    {"output-len", 0, "N", OPTION_NUMBER, AT(output_len), 1, SEQUENCE_MOST, NULL,
     "Tokens that are generated after it; 128 by default."},
    {"quantization", 0, "Q", OPTION_TEXT, AT(quantization), 0, 0, NULL,
     "How weights are stored: the types of GGUF files (q4_k_m, q8_0, ...; they run under llama.cpp), fp8, int8, nvfp4, "
     "mxfp4, int4, gptq, awq, nf4. Default: as the model's file says, else as --precision."},
    {"kv-cache-precision", 0, "P", OPTION_CHOICE, AT(cache_precision), 0, 0, cache_precisions,
     "Of the cached keys and values; by default as the model's file says, else that of activations."},
    {"concurrency", 0, "N", OPTION_NUMBER, AT(concurrency), 1, BATCH_MOST, NULL,
     "Serving: requests at a time; the batch size by default."},
    {"request-rate", 0, "R", OPTION_REALS, AT(request_rate), 0, 1000000000, NULL,
     "Serving: requests a second; shows how many GPUs bear them."},
    {"target-ttft", 0, "MS", OPTION_REALS, AT(target_ttft), 0, 1000000000, NULL,
     "Serving: milliseconds to the first token that are allowed; as many requests at a time as hold that."},
    {"target-tpot", 0, "MS", OPTION_REALS, AT(target_tpot), 0, 1000000000, NULL,
     "Serving: milliseconds for each further token that are allowed."},
    {"max-requests", 0, "N", OPTION_NUMBER, AT(max_requests), 1, BATCH_MOST, NULL,
     "Serving: requests that the runtime is set up to run at a time, as vLLM's --max-num-seqs. Default: as many as memory holds."},
    {"max-step-tokens", 0, "N", OPTION_NUMBER, AT(max_step_tokens), 1, 1 << 24, NULL,
     "Tokens that a step takes at most, as vLLM's --max-num-batched-tokens, TensorRT-LLM's --max_num_tokens, SGLang's "
     "--chunked-prefill-size, llama.cpp's --ubatch-size. Default: the runtime's own."},
    {"poll-steps", 0, "N", OPTION_NUMBER, AT(poll_steps), 1, BATCH_MOST, NULL,
     "Serving: steps between two at which the runtime looks for new requests, as SGLang's --scheduler-recv-interval; 1 by default."},
    {"batch-wait-steps", 0, "N", OPTION_NUMBER, AT(batch_wait_steps), 1, BATCH_MOST, NULL,
     "Serving: steps that prompts wait for others while requests are decoded, as TensorRT-LLM's "
     "batch_wait_timeout_iters; with --batch-wait-share. By default they don't wait."},
    {"batch-wait-share", 0, "X", OPTION_REAL, AT(batch_wait_share), 0, 1, NULL,
     "Serving: the share of a step whose being full ends that wait, as TensorRT-LLM's batch_wait_max_tokens_ratio."},
    {"shortest-share", 0, "X", OPTION_REAL, AT(shortest_share), 0, 1, NULL,
     "Serving: prompts and answers are between this share of --input-len and --output-len and all of it long, as "
     "--random-range-ratio of InferenceMAX's client. By default prompts are all as long as said."},
    {"speculative-tokens", 0, "N", OPTION_NUMBER, AT(speculative), 1, 16, NULL,
     "Decode, serving: tokens guessed ahead in each step (multi-token prediction), which the model checks together."},
    {"acceptance-rate", 0, "A", OPTION_REAL, AT(accepted), 0, 1, NULL,
     "The chance that such a guess holds where those before it do; 0.7 by default."},
    {"lora-rank", 0, "R", OPTION_NUMBER, AT(lora_rank), 1, 65536, NULL,
     "With --task training: trains adapters of this rank beside the frozen weights; with --quantization nf4 as QLoRA does."},
    {"gpu-layers", 0, "N", OPTION_NUMBER, AT(gpu_layers), 0, 4096, NULL,
     "llama.cpp: layers on the GPU; the others stay on the CPU. Default: all."},
    {"first-run", 0, NULL, OPTION_FLAG, AT(first_run), 0, 0, NULL,
     "llama.cpp: the prompt is the first of its process, which still loads its kernels and starts its libraries."},
};
const option_group group_language = GROUP("Language models", language_options);

static const option measured_options[] = {
    {"measured-on", 0, "GPU", OPTION_GPU, AT(measured_on), 0, 0, NULL,
     "A GPU on which you measured this model, with --measured-ms: predictions on all GPUs are scaled by what that shows."},
    {"measured-ms", 0, "T,...", OPTION_REALS, AT(measured_ms), 0, MEASURED_MOST, NULL,
     "The milliseconds of a step there: same precision, runtime and task. For several models one each, in their order."},
    {"measured-batch", 0, "N", OPTION_NUMBER, AT(measured_batch), 1, BATCH_MOST, NULL,
     "The batch size of that measurement, where it is not the one that is asked for."},
};
const option_group group_measured = GROUP("One measurement of yours", measured_options);
static const option parallel_options[] = {
    {"gpu-count", 0, "N", OPTION_NUMBER, AT(gpu_count), 1, GPUS_MOST, NULL,
     "GPUs in all. What the options below leave is data parallelism."},
    {"data-parallel", 0, "N", OPTION_NUMBER, AT(data_parallel), 1, GPUS_MOST, NULL,
     "Copies of the model, each with a batch of its own."},
    {"tensor-parallel", 0, "N", OPTION_NUMBER, AT(tensor_parallel), 1, GPUS_MOST, NULL,
     "GPUs that linear layers and attention heads are divided among."},
    {"pipeline-parallel", 0, "N", OPTION_NUMBER, AT(pipeline_parallel), 1, GPUS_MOST, NULL,
     "Stages that layers are put into, one after the other."},
    {"zero-stage", 0, "N", OPTION_NUMBER, AT(zero_stage), 1, 3, NULL,
     "Training: what data-parallel copies divide (ZeRO): 1 the optimizer's state, 2 gradients too, 3 weights too, as PyTorch's FSDP."},
    {"micro-batches", 0, "N", OPTION_NUMBER, AT(micro_batches), 1, GPUS_MOST, NULL,
     "Training: parts that a batch is run in, whose gradients are added up before the optimizer runs."},
    {"expert-parallel", 0, "N", OPTION_NUMBER, AT(expert_parallel), 1, GPUS_MOST, NULL,
     "GPUs that a mixture's experts are spread over, of those above."},
};
const option_group group_parallel = GROUP("Several GPUs", parallel_options);

static const option hardware_options[] = {
    {"fast-mode", 0, NULL, OPTION_FLAG, AT(fast_mode), 0, 0, NULL,
     "Only the DRAM roofline: flops at the dense peak or bytes at DRAM bandwidth, whichever takes longer. What stays in "
     "L2 can be faster."},
    {"real-hardware", 0, NULL, OPTION_FLAG, AT(real_hardware), 0, 0, NULL,
     "Clocks as they are after minutes of load: what the profile says of throttle temperature and sustained clocks counts too."},
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

/* The library refuses a size for images where it finds none to set; without any image that is no mistake. */
static bool opens_without_images(pg_model **out, const char *name, pg_model_options options)
{
    options.image_size = 0;
    if (pg_model_open(out, name, &options, NULL) != PG_E_OK) return false;
    if (!cli_has_images(pg_model_describe(*out))) return true;
    pg_model_free(*out);
    *out = NULL;
    return false;
}

int cli_one_model(cli *c, const char **name)
{
    const cli_args *a = &c->args;
    if (a->model && a->rest.count)
        return cli_usage(c->command, "--model and '%s' are one model too many", a->rest.items[0]);
    *name = a->model ? a->model : a->rest.count ? a->rest.items[0] : NULL;
    if (!*name)
        return cli_usage(
            c->command,
            "a model is needed: a file, a name of 'phantom-gpu list-models', or org/name of the Hugging Face Hub");
    return EXIT_OK;
}

int cli_open_model(cli *c, pg_model **out, const char *name, bool many)
{
    pg_error e = PG_ERROR_INIT;
    const cli_args *a = &c->args;
    cli_progress progress;
    cli_progress_begin(&progress);
    pg_model_options options = {.format = a->format,
                                .signature = a->signature,
                                .architecture = a->architecture,
                                .image_size = (int)a->image_size,
                                .input_shapes = a->shapes.items,
                                .input_shape_count = a->shapes.count,
                                .strict = a->strict,
                                .hub = a->offline ? PG_HUB_CACHE : PG_HUB_NETWORK,
                                .progress = cli_progress_show,
                                .progress_ud = &progress};
    pg_code code = pg_model_open(out, name, &options, &e);
    if (code == PG_E_USAGE && a->image_size && opens_without_images(out, name, options)) code = PG_E_OK;
    cli_progress_end(&progress);
    if (code != PG_E_OK) return cli_error(&e, name);
    const pg_model_info *info = pg_model_describe(*out);
    for (size_t i = 0; i < info->warning_count; i++) cli_warn(c, many ? info->name : NULL, info->warnings[i]);
    cli_warn_inapplicable(c, info);
    return EXIT_OK;
}

const pg_input_shape *cli_batch_shape(const cli *c, const pg_model_info *info, int64_t *batch)
{
    for (size_t s = 0; s < c->args.shapes.count; s++) {
        const pg_input_shape *shape = &c->args.shapes.items[s];
        for (size_t i = 0; i < info->input_count; i++) {
            const pg_tensor *t = &info->inputs[i];
            if (!info->has_batch || strcmp(t->name, shape->name) != 0) continue;
            /* every size that was given replaced what the model said, but for the batch */
            for (int d = 0; d < t->rank && d < shape->rank; d++) {
                if (!t->dims[d].symbolic) continue;
                *batch = shape->dims[d];
                return shape;
            }
        }
    }
    return NULL;
}

void cli_warn_batch(cli *c, const pg_model_info *info, const int64_t *batches, size_t count)
{
    int64_t batch;
    const pg_input_shape *shape = cli_batch_shape(c, info, &batch);
    if (!shape) return;
    for (size_t i = 0; i < count; i++)
        if (batches[i] == batch) return;
    char text[400];
    format_text(text, sizeof text, "the batch of %lld in --input-shape %s=... is not used: another batch size is given",
                (long long)batch, shape->name);
    cli_warn(c, info->name, text);
}

static int place_of(const char *const *names, const char *name)
{
    for (int i = 0; name && names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

int cli_check_measured(const cli *c, size_t models)
{
    const cli_args *a = &c->args;
    if (!a->measured_on && (a->measured_ms.count || a->measured_batch))
        return cli_usage(c->command, "--measured-%s needs --measured-on GPU", a->measured_ms.count ? "ms" : "batch");
    if (a->measured_on && !a->measured_ms.count)
        return cli_usage(c->command, "--measured-on needs --measured-ms, the milliseconds of a step on that GPU");
    if (a->measured_on && a->measured_ms.count != models)
        return cli_usage(c->command, "--measured-ms: %zu time%s for %zu model%s; one each is needed",
                         a->measured_ms.count, a->measured_ms.count == 1 ? "" : "s", models, models == 1 ? "" : "s");
    if (a->measured_on && (a->precisions.count > 1 || a->runtimes.count > 1))
        return cli_usage(c->command,
                         "--measured-ms is of one precision and one runtime; several of them can't be scaled by it");
    if (a->measured_on && a->batches.count != 1 && !a->batch && !a->measured_batch &&
        c->command == &command_compare_models)
        return cli_usage(c->command, "--measured-batch is needed with several batch sizes");
    return EXIT_OK;
}

pg_task cli_task(const cli_args *a, const pg_model_info *info)
{
    int task = place_of(tasks, a->task);
    if (task >= 0) return (pg_task)task;
    return info->generates && !a->measured_on ? PG_TASK_DECODE : PG_TASK_INFERENCE;
}

bool cli_counts_requests(const cli_args *a, const pg_model_info *info)
{
    return a->concurrency && cli_task(a, info) == PG_TASK_SERVING;
}

/* One pass over whole sequences, whose length a language model's prompt may stand for. */
static bool is_whole_pass(pg_task task)
{
    return task == PG_TASK_INFERENCE || task == PG_TASK_TRAINING;
}

pg_request cli_request(const cli *c, const pg_model_info *info, size_t model)
{
    const cli_args *a = &c->args;
    pg_task task = cli_task(a, info);
    static const pg_layout of_layout[] = {PG_LAYOUT_NCHW, PG_LAYOUT_NHWC};
    static const pg_optimizer of_optimizer[] = {PG_OPTIMIZER_NONE, PG_OPTIMIZER_SGD, PG_OPTIMIZER_ADAMW};
    int layout = place_of(layouts, a->layout), optimizer = place_of(optimizers, a->optimizer);
    int gpu_layers = a->gpu_layers < 0 ? 0 : a->gpu_layers > 0 ? (int)a->gpu_layers : -1;
    return (pg_request){.batch = a->batch,
                        .input_len = a->input_len,
                        .output_len = a->output_len,
                        .quantization = a->quantization,
                        .kv_cache_precision = a->cache_precision,
                        .concurrency = a->concurrency,
                        .max_requests = a->max_requests,
                        .max_step_tokens = a->max_step_tokens,
                        .poll_steps = (int)a->poll_steps,
                        .batch_wait_steps = (int)a->batch_wait_steps,
                        .batch_wait_share = a->batch_wait_share,
                        .shortest_share = a->shortest_share,
                        .speculative_tokens = (int)a->speculative,
                        .acceptance_rate = a->accepted,
                        .lora_rank = (int)a->lora_rank,
                        .request_rate = a->request_rate.count ? a->request_rate.items[0] : 0,
                        .target_ttft_ms = a->target_ttft.count ? a->target_ttft.items[0] : 0,
                        .target_tpot_ms = a->target_tpot.count ? a->target_tpot.items[0] : 0,
                        .gpu_layers = gpu_layers,
                        .sequence = !info->sequence_symbol ? 0
                                  : a->sequence            ? a->sequence
                                  : is_whole_pass(task)    ? a->input_len
                                                           : 0,
                        .precision = a->precision,
                        .runtime = a->runtime,
                        .layout = layout < 0 ? PG_LAYOUT_DEFAULT : of_layout[layout],
                        .task = task,
                        .optimizer = optimizer < 0 ? PG_OPTIMIZER_DEFAULT : of_optimizer[optimizer],
                        .autocast = a->autocast,
                        .gradient_checkpointing = a->gradient_checkpointing,
                        .first_run = a->first_run,
                        .fast_mode = a->fast_mode,
                        .real_hardware = a->real_hardware,
                        .measured_gpu = a->measured_on,
                        .measured_ms = model < a->measured_ms.count ? a->measured_ms.items[model] : 0,
                        .measured_batch = a->measured_batch,
                        .gpu_count = (int)a->gpu_count,
                        .data_parallel = (int)a->data_parallel,
                        .tensor_parallel = (int)a->tensor_parallel,
                        .pipeline_parallel = (int)a->pipeline_parallel,
                        .zero_stage = (int)a->zero_stage,
                        .micro_batches = (int)a->micro_batches,
                        .expert_parallel = (int)a->expert_parallel};
}

int cli_open_plan(cli *c, pg_plan **out, const pg_model *model, const pg_request *request, const char *about)
{
    pg_error e = PG_ERROR_INIT;
    pg_code code = pg_plan_open(out, model, c->catalog, request, &e);
    /* what was asked for wrongly is no fault of the model, but for a batch that it can't have */
    bool batch = request->batch > 1 && !pg_model_describe(model)->has_batch;
    bool asked = (code == PG_E_USAGE && !batch) || code == PG_E_NOT_FOUND;
    if (code != PG_E_OK) return cli_error(&e, asked ? NULL : about);
    for (size_t i = 0; i < pg_plan_warning_count(*out); i++) cli_warn(c, about, pg_plan_warning(*out, i));
    return EXIT_OK;
}
