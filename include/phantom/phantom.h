/* libphantom: how fast a model runs on a GPU that you don't have.
 *
 * The short way:
 *
 *     pg_catalog *gpus; pg_model *model; pg_plan *plan; pg_prediction p; pg_error e = PG_ERROR_INIT;
 *     pg_catalog_open(&gpus, NULL, &e);
 *     pg_model_open(&model, "model.onnx", NULL, &e);
 *     pg_plan_open(&plan, model, gpus, &(pg_request){.batch = 16}, &e);
 *     pg_plan_predict(plan, pg_catalog_find(gpus, "h100", &e), &p, &e);
 *     printf("%.2f ms\n", p.latency_ms);
 *
 * Handles are opaque; `pg_x_free(NULL)` is allowed. Strings that a handle returns live as long as the handle. A handle may be
 * read from several threads at once; opening and freeing is the caller's to order. Numbers that are not known are negative
 * (or NULL), never 0 and never a guess. Every function that can fail returns a pg_code and fills the caller's pg_error. */
#ifndef PHANTOM_PHANTOM_H
#define PHANTOM_PHANTOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library, "0.1.0". */
PG_API const char *pg_version(void);

/* Where memory comes from, as in Lua: (ud, ptr, old size, new size); new size 0 frees. NULL stands for malloc and free. */
typedef struct pg_allocator {
    void *(*resize)(void *ud, void *ptr, size_t old_size, size_t new_size);
    void *ud;
} pg_allocator;

/* ---------------------------------------------------------------- GPUs ---- */

typedef struct pg_catalog pg_catalog;

typedef struct pg_catalog_options {
    const char *hardware_profiles; /* a TOML file that goes before all others; NULL: none */
    bool no_user_files;            /* don't look in the working directory and XDG_CONFIG_HOME */
    const pg_allocator *allocator; /* copied; NULL: malloc */
} pg_catalog_options;

enum { PG_FAMILIES = 3, PG_BATCH_CURVE = 8 };

/* One GPU's figures; 0: not known or no such unit. Rates are dense and with FP32 accumulation. */
typedef struct pg_gpu {
    const char *key, *name, *vendor, *architecture, *memory_type, *form;
    double compute_capability;
    int release_year;
    double memory_gb;      /* as sold */
    double memory_bytes;   /* what the driver reports as total */
    double bandwidth_gbs;  /* 1e9 bytes/s */
    double fp32_tflops, tf32_tflops, fp16_tflops, bf16_tflops, fp8_tflops, int8_tops, fp4_tflops, int4_tops;
    int streaming_multiprocessors, cuda_cores, tensor_cores, rt_cores;
    double l1_kb, l2_mb;
    int memory_bus_bits, memory_channels;
    double base_mhz, boost_mhz, tdp_w, nvlink_gbs;
    int pcie_gen;
    double throttle_temp_c, thermal_factor_sustained, cache_hit_ratio, coalescing_efficiency;
    double fp16_multiplier, int8_multiplier, int4_multiplier;
    bool is_default, derived;
    const char *const *aliases;
    size_t alias_count;
} pg_gpu;

/* Reads the built-in tables and the user's (docs/adding-a-gpu.md says where from). A mistake in a file is PG_E_CONFIG with
 * source, line and column. */
PG_API PG_MUST_USE pg_code pg_catalog_open(pg_catalog **out, const pg_catalog_options *options, pg_error *error);
PG_API void pg_catalog_free(pg_catalog *catalog);
PG_API size_t pg_catalog_count(const pg_catalog *catalog);
/* GPU i in the order of the files; NULL past the end. */
PG_API const pg_gpu *pg_catalog_at(const pg_catalog *catalog, size_t i);
/* By key or alias, whatever the case, spaces, '-' and '_'. NULL: PG_E_NOT_FOUND with suggestions in error->text. */
PG_API const pg_gpu *pg_catalog_find(const pg_catalog *catalog, const char *name, pg_error *error);
PG_API const pg_gpu *pg_catalog_default(const pg_catalog *catalog);
PG_API size_t pg_catalog_warning_count(const pg_catalog *catalog);
PG_API const char *pg_catalog_warning(const pg_catalog *catalog, size_t i);

/* Runtime profiles ("pytorch", "onnxruntime", ...): names in order, NULL past the end. */
PG_API const char *pg_catalog_runtime(const pg_catalog *catalog, size_t i);
PG_API const char *pg_catalog_runtime_note(const pg_catalog *catalog, size_t i);

/* --------------------------------------------------------------- models ---- */

typedef struct pg_model pg_model;

/* Overrides one input's shape: --input-shape name=1x3x224x224. */
typedef struct pg_input_shape {
    const char *name;
    int rank;
    int64_t dims[8];
} pg_input_shape;

/* What a name of the Hugging Face Hub ("org/name[@revision][:file]") may do. A file or folder of that name goes before it. */
typedef enum pg_hub {
    PG_HUB_NETWORK, /* ask the Hub, and keep in the cache what it gives (docs/hub.md) */
    PG_HUB_CACHE,   /* only what the cache holds: nothing is sent. As with HF_HUB_OFFLINE=1 */
    PG_HUB_NEVER    /* no such names: neither network nor cache. For services that load what strangers name */
} pg_hub;

typedef struct pg_model_options {
    const char *format;  /* NULL: the bytes decide */
    const char *signature; /* which of a saved model's signatures, or of an archive's models; NULL: its default */
    const char *architecture; /* files of weights alone: the built-in model that they are of; NULL: told by names and shapes */
    int image_size;      /* built-in image models, and inputs with a free or fixed square size; 0: the model's own */
    const pg_input_shape *input_shapes;
    size_t input_shape_count;
    bool strict;         /* an unknown operator is an error */
    uint64_t memory_limit; /* bytes the reader may take; 0: 256 MB and 16 times the file, of which 64 MB count */
    const pg_allocator *allocator; /* copied; NULL: malloc */
    pg_hub hub;
    /* Called, often, while something is fetched from the Hub; `total` 0: not known. NULL: not called. */
    void (*progress)(void *ud, const char *what, uint64_t done, uint64_t total);
    void *progress_ud;
} pg_model_options;

typedef struct pg_dim {
    int64_t value;    /* negative: not known */
    const char *text; /* "batch", "2*sequence", "224"; NULL when not known */
    bool symbolic;
} pg_dim;

typedef struct pg_tensor {
    const char *name, *dtype;
    int rank; /* -1: not known */
    const pg_dim *dims;
} pg_tensor;

typedef struct pg_count {
    const char *name;
    uint64_t count;
} pg_count;

/* What a file says of itself, in its author's words. Keys may come more than once: "name", "description", "version", "author",
 * "license", "runtime" (that it needs), "input" and "output" (what one is), "file" (that it carries). */
typedef struct pg_remark {
    const char *key, *text;
} pg_remark;

typedef struct pg_model_info {
    const char *name, *path, *format, *family, *producer;
    const char *no_graph;     /* why there is no graph and so no speed, as in a file of weights alone; NULL: there is one */
    double parameters;    /* trained numbers; batch normalisation's running statistics are not counted */
    double weights_bytes; /* as stored */
    const pg_count *weights_by_dtype; /* bytes by dtype */
    size_t weights_by_dtype_count;
    uint64_t operators;   /* that run, shape arithmetic not counted */
    double macs;          /* multiply-accumulates per sample at batch 1; negative: not known */
    const pg_tensor *inputs, *outputs;
    size_t input_count, output_count;
    const pg_count *operator_counts; /* by name, most first */
    size_t operator_count_count;
    const pg_count *unknown_operators;
    size_t unknown_operator_count;
    const char *const *warnings;
    size_t warning_count;
    bool generates;       /* a language model that the tasks prefill, decode and serving can be asked of */
    bool has_batch;       /* the batch can be chosen */
    int64_t fixed_batch;  /* what the file says; 0: free */
    const char *sequence_symbol; /* the symbol that --seq-len sets; NULL: none */
    int64_t sequence;     /* its value by default */
    double active_parameters; /* of a mixture of experts: those that one token meets; 0: not known, or all */
    double other_parameters;  /* of parts beside the text model that are not in `parameters`: vision towers and the like */
    const pg_remark *remarks; /* the file's metadata, in its order */
    size_t remark_count;
} pg_model_info;

/* Loads a model from a file or a folder, by built-in name, by its name on the Hugging Face Hub, or a single operator
 * ("op:gemm:m=4096:n=4096:k=4096"). Of the Hub's models only configurations and headers are fetched, never weights; PG_E_NETWORK
 * and PG_E_DENIED come from there alone. */
PG_API PG_MUST_USE pg_code pg_model_open(pg_model **out, const char *model, const pg_model_options *options,
                                         pg_error *error);
PG_API void pg_model_free(pg_model *model);
PG_API const pg_model_info *pg_model_describe(const pg_model *model);

/* Built-in models in order: fills *out, whose strings live for ever; false past the end. */
typedef struct pg_builtin {
    const char *name, *family, *description;
    double parameters;
    int image_size, sequence; /* 0: does not apply */
} pg_builtin;

PG_API bool pg_builtin_at(size_t i, pg_builtin *out);

/* ----------------------------------------------------------- predictions ---- */

/* Of language models (docs/llm.md): the prompts of a batch; all tokens of its outputs, one step each; requests that come and go. */
typedef enum pg_task { PG_TASK_INFERENCE, PG_TASK_TRAINING, PG_TASK_PREFILL, PG_TASK_DECODE, PG_TASK_SERVING } pg_task;
typedef enum pg_optimizer { PG_OPTIMIZER_DEFAULT, PG_OPTIMIZER_NONE, PG_OPTIMIZER_SGD, PG_OPTIMIZER_ADAMW } pg_optimizer;
typedef enum pg_layout { PG_LAYOUT_DEFAULT, PG_LAYOUT_NCHW, PG_LAYOUT_NHWC } pg_layout;

typedef struct pg_request {
    int64_t batch;          /* 0: 1 */
    int64_t sequence;       /* 0: the model's default */
    const char *precision;  /* "fp32" "tf32" "fp16" "bf16" "int8" "fp8" "fp4" "int4" (weights); NULL: fp16 */
    const char *runtime;    /* NULL: "pytorch" */
    const char *runtime_version; /* NULL: newest */
    pg_task task;
    pg_optimizer optimizer; /* training; default adamw */
    pg_layout layout;       /* default: nchw */
    bool autocast;          /* fp32 weights cast on every step, as torch.autocast does */
    bool gradient_checkpointing; /* training: keeps the inputs of blocks alone and runs each forward again */
    bool half_norms;        /* autocast leaves normalisations of images in half (pytorch-image-models: fast norm) */
    bool fast_mode;         /* the plain roofline */
    bool real_hardware;     /* sustained clocks under thermal and power limits */
    bool device_time;       /* GPU time only, no host */
    bool any_memory;        /* speed and power also where `fits` is false: for what was measured and so did fit */
    const char *measured_gpu; /* a GPU on which this very model was measured: predictions on all GPUs are scaled by what that
                               * shows; NULL: none. Copied. */
    double measured_ms;     /* the time of a step there; with measured_gpu only */
    int64_t measured_batch; /* the batch of that measurement; 0: the same as above */
    /* Several GPUs, the product of the three below (docs/cli.md); 0: 1, or what is left of gpu_count. The batch is each data-parallel
     * group's own. PG_E_USAGE when they don't go together. */
    int gpu_count, data_parallel, tensor_parallel, pipeline_parallel, expert_parallel;
    int model_gpus; /* in place of tensor_parallel and pipeline_parallel: divided as the runtime does by itself, llama.cpp by layers, others each layer */
    /* language models, with the tasks prefill, decode and serving (docs/llm.md) */
    int64_t input_len, output_len; /* tokens of a prompt and of its answer; 0: 512 and 128; negative: none */
    const char *quantization;       /* of the weights: "q4_k_m" "awq" "fp8" ...; NULL: as precision and model say */
    const char *kv_cache_precision; /* "fp32" "fp16" "bf16" "fp8" "int8" "fp4" "int4"; NULL: as the model says, else as activations */
    int64_t concurrency;            /* serving: requests at a time; 0: the batch, or with one of the three below as many as they allow */
    double request_rate;            /* serving: requests a second that must be borne; 0: not asked */
    double target_ttft_ms, target_tpot_ms; /* serving: no request may take longer on average; 0: not asked */
    /* serving, how the runtime is set up; 0: as it is by itself */
    int64_t max_requests;           /* that run at a time, the others wait (max_num_seqs, max_batch_size); 0: as many as memory holds */
    int64_t max_step_tokens;        /* tokens of a step at most, also for prefill and decode (max_num_batched_tokens, max_num_tokens, chunked-prefill-size,
                                       llama.cpp's ubatch-size); 0: the runtime's own default */
    int poll_steps;                 /* that decode between two looks for new requests (SGLang's scheduler-recv-interval); 0: 1 */
    int batch_wait_steps;           /* that prompts wait for others while requests are decoded (TensorRT-LLM's batch_wait_timeout_iters) ... */
    double batch_wait_share;        /* ... until they fill this share of a step with those (batch_wait_max_tokens_ratio); both or neither */
    double shortest_share;          /* serving: lengths of prompts and answers are drawn between this share of input_len and output_len and all of it
                                       (InferenceMAX's random-range-ratio); 0: prompts are that long, answers 10 % up and down */
    int speculative_tokens;         /* decode, serving: tokens guessed ahead in each step; 0: none */
    double acceptance_rate;         /* chance that a guess holds where those before it do, above 0 to 1; 0: 0.7 */
    bool first_run;                 /* prefill, decode: the prompt is the first of its process (llama.cpp; of others it isn't known) */
    int lora_rank;                  /* training: of adapters beside frozen weights (QLoRA with quantization); 0: all weights */
    int gpu_layers;                 /* llama.cpp: layers on the GPU, the others on the CPU; 0: all; negative: none */
    int zero_stage;         /* training: what data-parallel groups divide instead of keeping copies (DeepSpeed's ZeRO): 1 the optimizer's state,
                             * 2 gradients too, 3 weights too, as PyTorch's FSDP; 0: nothing */
    int micro_batches;      /* training: parts that the batch is run in before the optimizer; must divide it. 0: 1 */
} pg_request;

typedef struct pg_memory {
    double total, weights, activations, workspace, gradients, optimizer, kv_cache;
    double runtime, context; /* runtime: CUDA context and framework together; context: the former alone */
} pg_memory;

typedef struct pg_prediction {
    const char *gpu, *gpu_name;
    int gpu_count, data_parallel, tensor_parallel, pipeline_parallel, zero_stage;
    int64_t batch;
    const char *task, *precision, *runtime; /* precision: as asked for; what a GPU lacks is in note */
    bool fits; /* where it does and `latency_ms` is negative all the same, the runtime is not for this GPU: `note` says so */
    double latency_ms, latency_low_ms, latency_high_ms; /* one step; an 80 % interval; negative when it doesn't fit */
    double throughput;            /* samples/s of all GPUs together */
    const char *throughput_unit;
    pg_memory memory;             /* of one GPU, the fullest */
    double memory_capacity;
    double memory_efficiency;     /* share of peak DRAM bandwidth over the step */
    double compute_utilization;   /* share of the dense peak of the precision over the step */
    const char *bottleneck;       /* "compute" "memory" "cache" "launch" "host" "interconnect" */
    double power_w;               /* mean power of all boards together over the step */
    double gpu_ms, host_ms;       /* the two clocks of a step */
    double flops, dram_bytes;
    const char *basis;            /* "calibrated" "transferred" "specification" */
    /* language models; negative: not known, or another task */
    int64_t input_len, output_len; /* the former also where a model's sequences have no length of their own */
    double tokens_per_s;          /* of all GPUs: decode and serving: tokens that come out; prefill: that go in */
    double ttft_ms, ttft_low_ms, ttft_high_ms; /* time to the first token, with its 80 % interval */
    double tpot_ms, tpot_low_ms, tpot_high_ms; /* time per token after it */
    double efficiency;            /* share of the roof that binds: of the memory's or the units' */
    double tokens_per_step;       /* of each request: more than 1 where tokens are guessed ahead */
    double requests_per_s;        /* serving: of all GPUs; else negative */
    int gpus_needed;              /* serving with request_rate: GPUs, in copies of the model that hold the targets; 0: not asked, or no
                                   * number would do */
    double most_batch, most_context; /* what would fit: sequences of this length, tokens of each sequence of this batch */
    const char *quantization, *kv_cache_precision; /* NULL: none, another task */
    char advice[200];             /* what would make it fit, each by itself; "": it fits, or nothing is known to help */
    const char *note;             /* something that the user should know ("no fp8 units: runs as fp16"); NULL: nothing */
} pg_prediction;

/* A model at one batch, precision and runtime, ready to be put on GPUs. */
typedef struct pg_plan pg_plan;

/* The plan points into the model and the catalog, which must outlive it; the request's texts are needed in this call alone; NULL: all of it
 * by default. Batch 0 means 1; a batch that is negative or over 2^20, an unknown precision or runtime is PG_E_USAGE, an unknown
 * measured_gpu PG_E_NOT_FOUND, what can't be predicted of this model (files of weights alone, training in fp8 ...) PG_E_UNSUPPORTED. */
PG_API PG_MUST_USE pg_code pg_plan_open(pg_plan **out, const pg_model *model, const pg_catalog *catalog,
                                        const pg_request *request, pg_error *error);
PG_API void pg_plan_free(pg_plan *plan);
/* `gpu` is one of the plan's catalog; the texts in *out live as long as the plan. A model that doesn't fit is no error: see pg_prediction.fits.
 * Makes no allocation and is safe to call from several threads on one plan. */
PG_API PG_MUST_USE pg_code pg_plan_predict(const pg_plan *plan, const pg_gpu *gpu, pg_prediction *out, pg_error *error);
PG_API size_t pg_plan_warning_count(const pg_plan *plan);
PG_API const char *pg_plan_warning(const pg_plan *plan, size_t i);

/* One row of --explain: a kernel of the step on a GPU, in execution order. */
typedef struct pg_kernel_row {
    const char *name;     /* the operator's name in the model ("layer1.0.conv1") */
    const char *op;       /* "Conv+Relu" */
    const char *kernel;   /* "conv" "gemm" "attention" "elementwise" ... */
    const char *shape;    /* "64x3x7x7 s2 -> 16x64x112x112" */
    double start_ms;      /* from the start of the step */
    double time_ms, ideal_ms; /* predicted; under the plain roofline */
    double share;         /* of the step's GPU time */
    double flops, bytes;
    double flops_share, bandwidth_share; /* reached share of the dense peak and of DRAM bandwidth */
    const char *bound;    /* "compute" "memory" "cache" "launch" */
    uint64_t count;       /* executions in a step (loops) */
} pg_kernel_row;

typedef struct pg_explanation pg_explanation;

/* All kernels of a step: of language models those of the prompts, then those of all tokens after them. Also where the model doesn't fit.
 * It points into the plan, which must outlive it. PG_E_NOMEM alone. */
PG_API PG_MUST_USE pg_code pg_plan_explain(pg_explanation **out, const pg_plan *plan, const pg_gpu *gpu, pg_error *error);
PG_API void pg_explanation_free(pg_explanation *explanation);
PG_API size_t pg_explanation_count(const pg_explanation *explanation);
/* NULL past the end. */
PG_API const pg_kernel_row *pg_explanation_at(const pg_explanation *explanation, size_t i);

#ifdef __cplusplus
}
#endif
#endif
