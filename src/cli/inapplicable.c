/* Options that don't apply to this model or task, but perhaps to another one: what was asked for and can't be had is said. */
#include "cli/cli.h"

static bool is_kernel(const pg_model_info *info)
{
    return info->family && strcmp(info->family, "kernel") == 0;
}

bool cli_has_images(const pg_model_info *info)
{
    for (size_t i = 0; i < info->input_count && !is_kernel(info); i++)
        if (info->inputs[i].rank == 4) return true;
    return false;
}

/* Whether the precision, or one of several, is of 16 bits, as it is where none is given. */
static bool is_half(const cli_args *a)
{
    for (size_t i = 0; i < a->precisions.count; i++)
        if (strstr(a->precisions.items[i], "16")) return true;
    return !a->precisions.count && (!a->precision || strstr(a->precision, "16"));
}

void cli_warn_inapplicable(cli *c, const pg_model_info *info)
{
    const cli_args *a = &c->args;
    pg_task task = cli_task(a, info);
    bool training = task == PG_TASK_TRAINING, language = info->generates, kernel = is_kernel(info);
    bool served = task == PG_TASK_PREFILL || task == PG_TASK_DECODE || task == PG_TASK_SERVING;
    bool built_in = info->format && strcmp(info->format, "built-in") == 0;
    bool targets = a->request_rate.count || a->target_ttft.count || a->target_tpot.count;
    bool setup = a->max_requests || a->poll_steps || a->batch_wait_steps || a->batch_wait_share > 0 ||
                 a->shortest_share > 0;
    const struct {
        bool idle;         /* given, and without effect */
        const char *about; /* the model whose fault it is; NULL: none's */
        const char *text;
    } rules[] = {
        {a->optimizer && !training, NULL, "--optimizer has no effect without --task training"},
        {a->gradient_checkpointing && !training, NULL,
         "--gradient-checkpointing has no effect without --task training"},
        {a->first_run && (!served || task == PG_TASK_SERVING || !language), NULL,
         "--first-run has no effect without --task prefill or decode"},
        {a->lora_rank && !training, NULL, "--lora-rank has no effect without --task training"},
        /* of language models, the library refuses targets and rates for other tasks */
        {task != PG_TASK_SERVING && (a->concurrency || (targets && !language && c->command != &command_recommend_gpu)),
         NULL, "--concurrency, --request-rate, --target-ttft and --target-tpot have no effect without --task serving"},
        {setup && (!served || !language), NULL,
         "--max-requests, --poll-steps, --batch-wait-steps, --batch-wait-share and --shortest-share have no effect without "
         "--task serving"},
        {cli_counts_requests(a, info) && (a->batches.count || a->batch), NULL,
         "--batch-size and --batch-sizes have no effect: --concurrency says how many requests there are at a time"},
        {a->sequence && !info->sequence_symbol, info->name,
         "--seq-len has no effect: this model has no sequence of free length"},
        {a->image_size && !cli_has_images(info), info->name, "--image-size has no effect: this model has no images"},
        {a->layout && !cli_has_images(info) && !kernel, info->name, "--layout has no effect: this model has no images"},
        {a->autocast && served, info->name, "--autocast has no effect on how language models are served"},
        {a->autocast && !served && !is_half(a), NULL, "--autocast has no effect: it is for fp16 and bf16"},
        {a->shapes.count && kernel, info->name, "--input-shape has no effect: the sizes of a kernel stand in its name"},
        {!language && (a->input_len || a->output_len || a->quantization || a->cache_precision), info->name,
         "--input-len, --output-len, --quantization and --kv-cache-precision have no effect: this "
         "is no language model whose dimensions are known"},
        {language && !served && (a->output_len || a->cache_precision), NULL,
         "--output-len and --kv-cache-precision have no effect without --task decode or serving"},
        {language && !served && !a->lora_rank && a->quantization, NULL,
         "--quantization has no effect on a pass over whole sequences: --task prefill, decode or serving, or training with "
         "--lora-rank"},
        {!language && a->gpu_layers >= 0, info->name,
         "--gpu-layers has no effect: this is no language model whose dimensions are known"},
        {(!language || !served) && a->max_step_tokens, NULL,
         "--max-step-tokens has no effect without --task prefill, decode or serving of a language model"},
        {!language && a->speculative, info->name,
         "--speculative-tokens has no effect: this is no language model whose dimensions are known"},
        {a->format && kernel, info->name, "--format has no effect: a kernel is no file"},
        {(a->signature || a->architecture) && built_in, info->name,
         "--signature and --architecture have no effect: a built-in model is no file"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].idle) cli_warn(c, rules[i].about, rules[i].text);
}
