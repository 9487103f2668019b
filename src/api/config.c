/* data/runtimes.toml and data/cost_constants.toml into structs. They are built in, so a mistake is ours, but it is reported all the
 * same: a test reads them. */
#include "api/api.h"
#include "api/embedded.h"
#include "gpu/schema.h"

#define REAL(type, field, low, high)                                        \
    {                                                                       \
        "", #field, SCHEMA_REAL, offsetof(type, field), low, high, false, 0 \
    }
#define FLAG(field)                                                               \
    {                                                                             \
        "", #field, SCHEMA_BOOL, offsetof(runtime_profile, field), 0, 0, false, 0 \
    }
#define TEXT(field)                                                               \
    {                                                                             \
        "", #field, SCHEMA_TEXT, offsetof(runtime_profile, field), 0, 0, false, 0 \
    }

typedef struct runtime_read {
    runtime_profile p;
    str fused_attention_since, second_attention_since, late_attention_since, wide_attention_since, wide_resize_since,
        linear_bias_since, fused_gelu_since;
    str like;
    const toml_node *aliases, *measured_on, *trained_on;
} runtime_read;

static const schema_field runtime_fields[] = {
    TEXT(name),
    TEXT(note),
    TEXT(vendor),
    REAL(runtime_profile, capability_least, 0, 100),
    {"", "like", SCHEMA_TEXT, offsetof(runtime_read, like), 0, 0, false, 0},
    FLAG(fold_constants),
    FLAG(fold_batch_norm),
    FLAG(fuse_epilogue),
    FLAG(fuse_activation),
    FLAG(fuse_pointwise),
    FLAG(fuse_norm),
    FLAG(bare_products),
    FLAG(product_bias_kernel),
    FLAG(strided_views),
    FLAG(conv_bias_kernel),
    FLAG(conv_tf32),
    FLAG(gemm_tf32),
    FLAG(channels_last),
    FLAG(quantized_io),
    FLAG(skip_quantize),
    FLAG(spelled_suppression),
    FLAG(paged_cache),
    FLAG(pack_queries),
    FLAG(single_head_kernel),
    REAL(runtime_profile, shared_heads_most, 0, 1024),
    FLAG(prompt_kernel),
    FLAG(flash_attention),
    REAL(runtime_profile, quantize_kernels, 0, 16),
    REAL(runtime_profile, own_allreduce, 0, 2),
    REAL(runtime_profile, quantize_bytes, 0, 64),
    FLAG(quantize_rows),
    FLAG(split_fp8),
    FLAG(int8_ready),
    FLAG(fp8_by_rows),
    FLAG(spelled_attention),
    {"", "fused_attention_since", SCHEMA_TEXT, offsetof(runtime_read, fused_attention_since), 0, 0, false, 0},
    {"", "second_attention_since", SCHEMA_TEXT, offsetof(runtime_read, second_attention_since), 0, 0, false, 0},
    {"", "late_attention_since", SCHEMA_TEXT, offsetof(runtime_read, late_attention_since), 0, 0, false, 0},
    {"", "wide_attention_since", SCHEMA_TEXT, offsetof(runtime_read, wide_attention_since), 0, 0, false, 0},
    {"", "wide_resize_since", SCHEMA_TEXT, offsetof(runtime_read, wide_resize_since), 0, 0, false, 0},
    {"", "fused_gelu_since", SCHEMA_TEXT, offsetof(runtime_read, fused_gelu_since), 0, 0, false, 0},
    {"", "linear_bias_since", SCHEMA_TEXT, offsetof(runtime_read, linear_bias_since), 0, 0, false, 0},
    REAL(runtime_profile, host_us, 0, 1000),
    REAL(runtime_profile, host_view_us, 0, 1000),
    REAL(runtime_profile, host_step_us, 0, 1e6),
    REAL(runtime_profile, host_half_years, 0, 1000),
    REAL(runtime_profile, gap_us, 0, 100),
    REAL(runtime_profile, lone_unary_us, 0, 1000),
    REAL(runtime_profile, lone_binary_us, 0, 1000),
    REAL(runtime_profile, lone_softmax_us, 0, 1000),
    REAL(runtime_profile, lone_norm_us, 0, 1000),
    REAL(runtime_profile, lone_gemm_us, 0, 1000),
    REAL(runtime_profile, lone_bmm_us, 0, 1000),
    REAL(runtime_profile, lone_conv_us, 0, 1000),
    REAL(runtime_profile, lone_launch_us, 0, 1000),
    REAL(runtime_profile, lone_conv_wait_us, 0, 1000),
    REAL(runtime_profile, lone_first, 0, 1),
    REAL(runtime_profile, lone_copies, 0, 64),
    REAL(runtime_profile, lone_triton_us, 0, 1e4),
    REAL(runtime_profile, lone_cutlass_us, 0, 1e4),
    REAL(runtime_profile, lone_flashinfer_us, 0, 1e4),
    REAL(runtime_profile, lone_deepgemm_us, 0, 1e4),
    REAL(runtime_profile, lone_repack_us, 0, 1e4),
    REAL(runtime_profile, lone_pad_us, 0, 1e4),
    FLAG(sync_attention),
    FLAG(lone_fill),
    REAL(runtime_profile, lone_turns, 0, 1000),
    FLAG(lone_quiet),
    REAL(runtime_profile, framework_mb, 0, 1e5),
    REAL(runtime_profile, workspace_mb, 0, 1e5),
    REAL(runtime_profile, allocator_round, 1, 4),
    REAL(runtime_profile, interval_factor, 0.2, 10),
    REAL(runtime_profile, conv_speed, 0.1, 10),
    REAL(runtime_profile, depthwise_speed, 0.1, 20),
    REAL(runtime_profile, conv_peak, 0.1, 1),
    REAL(runtime_profile, gemm_speed, 0.1, 10),
    REAL(runtime_profile, fp8_speed, 0, 10),
    REAL(runtime_profile, fp4_speed, 0, 10),
    REAL(runtime_profile, attention_speed, 0.1, 10),
    REAL(runtime_profile, decode_speed, 0, 10),
    REAL(runtime_profile, pointwise_speed, 0.1, 10),
    REAL(runtime_profile, train_pointwise_speed, 0.1, 10),
    FLAG(ggml),
    FLAG(half_sums),
    FLAG(fuse_layers),
    REAL(runtime_profile, chunk_tokens, 0, 1e6),
    REAL(runtime_profile, gemv_rows, 0, 64),
    REAL(runtime_profile, gemv_bytes, 0, 64),
    REAL(runtime_profile, gemv_share, 0.5, 1.2),
    REAL(runtime_profile, memory_share, 0, 1),
    FLAG(share_of_rest),
    REAL(runtime_profile, reserve_share, 0, 1),
    FLAG(narrow_cache),
    REAL(runtime_profile, narrow_since, 0, 100),
    REAL(runtime_profile, int8_us, 0, 100),
    REAL(runtime_profile, int8_k_clocks, 0, 100),
    REAL(runtime_profile, int8_vectors, 0, 1000),
    REAL(runtime_profile, fp4_us, 0, 1000),
    REAL(runtime_profile, fp4_k_clocks, 0, 100),
    REAL(runtime_profile, moe_since, 0, 100),
    FLAG(moe_all_pairs),
    REAL(runtime_profile, moe_share, 0, 10),
    REAL(runtime_profile, moe_new_share, 0, 10),
    REAL(runtime_profile, moe_us, 0, 1000),
    REAL(runtime_profile, moe_new_us, 0, 1000),
    REAL(runtime_profile, moe_fp4_us, 0, 1000),
    REAL(runtime_profile, moe_tile_us, 0, 100),
    REAL(runtime_profile, moe_uneven, 0, 3),
    REAL(runtime_profile, fused_scan_since, 0, 100),
    REAL(runtime_profile, launch_queue, 0, 1e6),
    REAL(runtime_profile, stages_ahead, 0, 4),
    REAL(runtime_profile, llm_step_us, 0, 1e5),
    REAL(runtime_profile, llm_request_us, 0, 1000),
    REAL(runtime_profile, prompt_speed, 0, 10),
    REAL(runtime_profile, llm_experts_us, 0, 1e6),
    REAL(runtime_profile, llm_layer_us, 0, 1e5),
    REAL(runtime_profile, llm_mixed_us, 0, 1e6),
    REAL(runtime_profile, llm_join_us, 0, 1e6),
    REAL(runtime_profile, llm_token_us, 0, 1e4),
    REAL(runtime_profile, llm_prompt_us, 0, 1e6),
    FLAG(whole_prompts),
    FLAG(prompts_apart),
    REAL(runtime_profile, llm_stage_us, 0, 1e5),
    REAL(runtime_profile, row_columns, 0, 1e6),
    REAL(runtime_profile, row_copy_us, 0, 1e5),
    REAL(runtime_profile, row_link_share, 0, 1),
    REAL(runtime_profile, llm_first_us, 0, 1e7),
    REAL(runtime_profile, interval_tpot, 0, 5),
    REAL(runtime_profile, interval_ttft, 0, 5),
    REAL(runtime_profile, cpu_gbs, 0, 1000),
    REAL(runtime_profile, cpu_prompt_gbs, 0, 1000),
    {"", "aliases", SCHEMA_TEXTS, offsetof(runtime_read, aliases), 0, 0, false, 0},
    {"", "measured_on", SCHEMA_TEXTS, offsetof(runtime_read, measured_on), 0, 0, false, 0},
    {"", "trained_on", SCHEMA_TEXTS, offsetof(runtime_read, trained_on), 0, 0, false, 0},
};

static const schema_field predict_fields[] = {
    REAL(predict_constants, context_mb, 0, 10000),
    REAL(predict_constants, context_mb_per_sm, 0, 100),
    REAL(predict_constants, idle_power_share, 0, 1),
    REAL(predict_constants, busy_power_share, 0, 1),
    REAL(predict_constants, host_half_years, 0.5, 100),
    REAL(predict_constants, measured_gpu_carry, 0, 1),
    REAL(predict_constants, measured_host_carry, 0, 1),
    REAL(predict_constants, measured_interval, 0.05, 1),
    REAL(predict_constants, interval_again, 0, 1),
    REAL(predict_constants, host_backward, 0, 5),
    REAL(predict_constants, serving_waves, 1, 100),
    REAL(predict_constants, serving_spread, 0, 0.9),
    REAL(predict_constants, straggle_share, 0, 0.5),
    REAL(predict_constants, hidden_share, 0, 1),
    REAL(predict_constants, host_few, 0, 5),
    REAL(predict_constants, host_optimizer, 0, 5),
    REAL(predict_constants, host_sum, 0, 5),
    REAL(predict_constants, measured_interval_strange, 0.05, 1),
};

#define WIDTH(name, class)                                                                                             \
    {"", name, SCHEMA_REAL, offsetof(interval_constants, model) + sizeof(double) * (class), 0, 5, false, 0},           \
    {                                                                                                                  \
        "", "kernel_" name, SCHEMA_REAL, offsetof(interval_constants, kernel) + sizeof(double) * (class), 0, 5, false, \
            0                                                                                                          \
    }

static const schema_field interval_fields[] = {
    WIDTH("conv", INTERVAL_CONV),
    WIDTH("conv_vector", INTERVAL_CONV_VECTOR),
    WIDTH("depthwise", INTERVAL_DEPTHWISE),
    WIDTH("product", INTERVAL_PRODUCT),
    WIDTH("product_vector", INTERVAL_PRODUCT_VECTOR),
    WIDTH("narrow", INTERVAL_NARROW),
    WIDTH("attention", INTERVAL_ATTENTION),
    WIDTH("rows", INTERVAL_ROWS),
    WIDTH("stream", INTERVAL_STREAM),
    WIDTH("other", INTERVAL_OTHER),
    REAL(interval_constants, host, 0, 2),
    REAL(interval_constants, training, 0.2, 5),
    REAL(interval_constants, transferred, 1, 5),
    REAL(interval_constants, specification, 1, 5),
    REAL(interval_constants, unlike, 1, 10),
    REAL(interval_constants, tenfold, 0.2, 5),
    REAL(interval_constants, skew_model, 0.2, 5),
    REAL(interval_constants, skew_kernel, 0.2, 5),
    REAL(interval_constants, llm_decode, 0, 5),
    REAL(interval_constants, llm_prefill, 0, 5),
    REAL(interval_constants, llm_staged, 0, 5),
    REAL(interval_constants, llm_row_tokens, 0, 5),
    REAL(interval_constants, llm_row_prompts, 0, 5),
    REAL(interval_constants, llm_tpot, 0, 5),
    REAL(interval_constants, llm_ttft, 0, 5),
};

#define SPREAD(name, member, level)                                                                                \
    {                                                                                                              \
        "", name, SCHEMA_REAL, offsetof(calibrate_constants, member) + sizeof(double) * (level), 1e-4, 5, false, 0 \
    }

static const schema_field calibrate_fields[] = {
    REAL(calibrate_constants, row, 1e-4, 5),
    SPREAD("family_all", family, 0),
    SPREAD("family_memory", family, 1),
    SPREAD("family_host", family, 2),
    SPREAD("board_all", board, 0),
    SPREAD("board_memory", board, 1),
    SPREAD("board_host", board, 2),
    REAL(calibrate_constants, odd, 1e-4, 5),
    REAL(calibrate_constants, odd_share, 1e-4, 0.5),
};

static const schema_field level_fields[] = {
    REAL(gpu_level, compute, 0.5, 1.5),
    REAL(gpu_level, memory, 0.5, 1.5),
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

double api_version_number(str text)
{
    double part[2] = {0, 0};
    size_t i = 0;
    for (int k = 0; k < 2; k++) {
        size_t from = i;
        for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9' && i - from < 3; i++)
            part[k] = part[k] * 10 + (text.ptr[i] - '0');
        if (i == from) return 0;
        if (k == 0 && (i >= text.len || text.ptr[i++] != '.')) return 0;
    }
    return part[0] * 1000 + part[1];
}

static pg_code read_keys(const str **out, uint32_t *n_out, const toml_node *list, arena *a, pg_error *e)
{
    uint32_t count = 0;
    if (!list) return PG_E_OK;
    str *keys = ARENA_ARRAY(a, str, list->count);
    if (!keys) return error_nomem(e, a);
    for (const toml_node *n = list->is.first; n; n = n->next) {
        keys[count] = str_copy(a, n->is.text);
        if (!keys[count].ptr) return error_nomem(e, a);
        count++;
    }
    *out = keys;
    *n_out = count;
    return PG_E_OK;
}

/* Kernel factors that a runtime does not give are those of the runtime that it names in `like`, which stands before it; else 1. */
static pg_code inherit_speeds(runtime_profile *p, const api_config *c, const toml_node *n, const char *source,
                              pg_error *e)
{
    const toml_node *like = toml_child(n, "like");
    p->interval_factor = 1;
    p->conv_speed = p->depthwise_speed = p->gemm_speed = p->attention_speed = p->pointwise_speed =
        p->train_pointwise_speed = 1;
    for (uint32_t i = 0; like && like->kind == TOML_TEXT && i < c->n_runtimes; i++) {
        const runtime_profile *o = &c->runtimes[i];
        if (!str_eq(o->key, like->is.text)) continue;
        p->conv_speed = o->conv_speed;
        p->depthwise_speed = o->depthwise_speed;
        p->gemm_speed = o->gemm_speed;
        p->attention_speed = o->attention_speed;
        p->pointwise_speed = o->pointwise_speed;
        p->train_pointwise_speed = o->train_pointwise_speed;
        return PG_E_OK;
    }
    return like ? schema_error_value(e, PG_E_CONFIG, source, like, "no runtime of that name stands before this one")
                : PG_E_OK;
}

static pg_code read_runtime(runtime_profile *out, const api_config *c, const toml_node *n, arena *a, const char *source,
                            pg_error *e)
{
    static const schema s = {runtime_fields, COUNT(runtime_fields)};
    char section[64];
    runtime_read r = {.p = {.allocator_round = 1}};
    format_text(section, sizeof section, "runtimes.%.*s", STR_ARG(n->key));
    schema_context at = {a, source, section};
    pg_code code = inherit_speeds(&r.p, c, n, source, e);
    if (!code) code = schema_read(&s, n, &at, &r, NULL, e);
    if (code) return code;
    *out = r.p;
    out->fused_attention_since = api_version_number(r.fused_attention_since);
    out->second_attention_since = api_version_number(r.second_attention_since);
    out->late_attention_since = api_version_number(r.late_attention_since);
    out->wide_attention_since = api_version_number(r.wide_attention_since);
    out->wide_resize_since = api_version_number(r.wide_resize_since);
    out->fused_gelu_since = api_version_number(r.fused_gelu_since);
    out->linear_bias_since = api_version_number(r.linear_bias_since);
    out->key = str_copy(a, n->key);
    if (!out->key.ptr) return error_nomem(e, a);
    code = read_keys(&out->aliases, &out->n_aliases, r.aliases, a, e);
    if (!code) code = read_keys(&out->measured_on, &out->n_measured_on, r.measured_on, a, e);
    return code ? code : read_keys(&out->trained_on, &out->n_trained_on, r.trained_on, a, e);
}

/* [levels.RUNTIME.GPU] */
static pg_code read_levels(api_config *c, const toml_node *list, arena *a, const char *source, pg_error *e)
{
    static const schema s = {level_fields, COUNT(level_fields)};
    uint32_t count = 0;
    for (const toml_node *r = list ? list->is.first : NULL; r; r = r->next) count += r->count;
    c->levels = ARENA_ARRAY(a, gpu_level, count);
    if (!c->levels) return error_nomem(e, a);
    for (const toml_node *r = list ? list->is.first : NULL; r; r = r->next)
        for (const toml_node *n = r->kind == TOML_TABLE ? r->is.first : NULL; n; n = n->next) {
            char section[64];
            format_text(section, sizeof section, "levels.%.*s.%.*s", STR_ARG(r->key), STR_ARG(n->key));
            schema_context at = {a, source, section};
            gpu_level *l = &c->levels[c->n_levels++];
            *l = (gpu_level){str_copy(a, r->key), str_copy(a, n->key), 1, 1};
            pg_code code = schema_read(&s, n, &at, l, NULL, e);
            if (code) return code;
            if (!l->runtime.ptr || !l->gpu.ptr) return error_nomem(e, a);
        }
    return PG_E_OK;
}

static pg_code read_runtimes(api_config *c, arena *a, pg_error *e)
{
    static const schema s = {predict_fields, COUNT(predict_fields)}, widths = {interval_fields, COUNT(interval_fields)},
                        spreads = {calibrate_fields, COUNT(calibrate_fields)};
    const char *source = "runtimes.toml";
    toml_node *root;
    pg_code code = toml_parse(a, (str){data_runtimes_toml, data_runtimes_toml_len}, source, &root, e);
    if (code) return code;
    const toml_node *predict = toml_child(root, "predict"), *interval = toml_child(root, "interval"),
                    *own = toml_child(root, "calibrate"), *list = toml_child(root, "runtimes");
    if (!predict || !interval || !own || !list || list->kind != TOML_TABLE)
        return error_set(e, PG_E_CONFIG, "%s needs the tables [predict], [interval], [calibrate] and [runtimes.NAME]",
                         source);
    schema_context at = {a, source, "predict"}, in = {a, source, "interval"}, by = {a, source, "calibrate"};
    code = schema_read(&s, predict, &at, &c->predict, NULL, e);
    if (!code) code = schema_read(&widths, interval, &in, &c->predict.interval, NULL, e);
    if (!code) code = schema_read(&spreads, own, &by, &c->calibrate, NULL, e);
    c->runtimes = ARENA_ARRAY(a, runtime_profile, list->count);
    if (!code && !c->runtimes) return error_nomem(e, a);
    for (const toml_node *n = list->is.first; !code && n; n = n->next) {
        code = read_runtime(&c->runtimes[c->n_runtimes], c, n, a, source, e);
        c->n_runtimes++;
    }
    return code ? code : read_levels(c, toml_child(root, "levels"), a, source, e);
}

static pg_code read_cost(api_config *c, arena *a, pg_error *e)
{
    const char *source = "cost_constants.toml";
    toml_node *root;
    pg_code code = toml_parse(a, (str){data_cost_constants_toml, data_cost_constants_toml_len}, source, &root, e);
    if (code) return code;
    for (int i = 0; i < COST_CONSTANTS; i++) {
        const cost_constant_info *info = &cost_constant_table[i];
        const toml_node *table = toml_child(root, info->table);
        const toml_node *n = table ? toml_child(table, info->name) : NULL;
        if (!n || (n->kind != TOML_REAL && n->kind != TOML_INT))
            return error_set(e, PG_E_CONFIG, "%s lacks the number %s.%s", source, info->table, info->name);
        *cost_constant_at(&c->cost, i) = n->kind == TOML_REAL ? n->is.real : (double)n->is.integer;
    }
    int bad;
    if (!cost_constants_valid(&c->cost, &bad))
        return error_set(e, PG_E_CONFIG, "%s: %s.%s is out of its bounds", source, cost_constant_table[bad].table,
                         cost_constant_table[bad].name);
    return PG_E_OK;
}

pg_code api_config_read(api_config *c, arena *a, pg_error *e)
{
    pg_code code = read_cost(c, a, e);
    return code ? code : read_runtimes(c, a, e);
}
