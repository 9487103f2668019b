/* What a row leaves open about who ran the model: taken from what it says of its source and precision. */
#include "bench/bench.h"

#include <math.h>
#include <string.h>

#include "api/api.h"
#include "base/format.h"

/* A source that names its framework or engine, by its folders: the first that fits. */
static const struct {
    const char *word, *runtime;
} sources[] = {
    {"_TRT", "tensorrt"},         {"TensorRT", "tensorrt"},
    {"triton", "tensorrt"}, /* a server's tables are of its fastest backend */
    {"TensorFlow", "tensorflow"}, {"onnxruntime", "onnxruntime"},
    {"MxNet", "torchscript"}, /* the same kernels, issued by an engine in C++ */
};

/* TensorFlow's scripts whose benchmarks turn XLA on without saying so beside their figures. */
static const char *const compiled[] = {
    "/LanguageModeling/BERT",     "/LanguageModeling/ELECTRA",           "/Segmentation/UNet_Industrial",
    "/Detection/Efficientdet",    "TensorFlow2/Classification/ConvNets", "TensorFlow2/Recommendation/DLRM_and_DCNv2",
    "/Segmentation/UNet_Medical", "/Segmentation/UNet_3D_Medical"};

static const char *const precisions[] = {"fp32", "tf32", "fp16",  "bf16",  "fp8",
                                         "int8", "fp4",  "nvfp4", "mxfp4", "int4"};

/* What the launch scripts of the published benchmarks of serving (InferenceMAX) set. */
enum {
    POLL_STEPS = 10,
    POLL_STEPS_BUSY = 30,
    POLL_BUSY = 16,
    WAIT_STEPS = 20,
    WAIT_TOKENS = 1024,
    WAIT_GPUS = 8,
    DEEPSEEK_WAIT_STEPS = 40,
    DEEPSEEK_WAITS = 64, /* requests from which on it waits */
    GUESSES = 3,
    DENSE_TOKENS = 16384,
    WIDE_TOKENS = 32768,
    NARROW_TOKENS = 16384,
    FEW_GPUS_TOKENS = 8192,
    FEW_GPUS = 4
};
static const char GUESSING[] = "1.2.0rc6.post3"; /* the container of TensorRT-LLM */
static const double SHORTEST_SHARE = 0.8, WAIT_SHARE = 0.9, DEEPSEEK_WAIT_SHARE = 0.8;
static const double POLL_SINCE = 10;                                    /* a compute capability */
static const double LOST_PLACE_BEFORE = 1001, ONE_PROMPT_BEFORE = 1002; /* versions 1.1 and 1.2 */

static bool is_from(const bench_row *row, const char *folder)
{
    return (row->source && strstr(row->source, folder)) || (row->url && strstr(row->url, folder));
}

/* Triton's TensorFlow backend with its "Automatic FP16": its tables give the precision of the exported file, FP32. */
static bool is_halved_by_server(const bench_row *row)
{
    return row->source && strstr(row->source, "WideAndDeep/triton") && row->precision &&
           !strcmp(row->precision, "fp32");
}

/* MLPerf's BERT at 99.9 % of the accuracy, offline, on GPUs with units for it: "fp16" with use_fp8 beside it, in the configurations that
 * NVIDIA and its partners run (code, bert/Offline). */
static bool is_fp8_engine(const bench_row *row)
{
    static const char *const boards[] = {"h100", "h200", "gh200", "l40s"};
    if (!row->precision || strcmp(row->precision, "fp16") != 0 || !is_from(row, "bert-99.9/Offline") || !row->gpu)
        return false;
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++)
        if (!strncmp(row->gpu, boards[i], strlen(boards[i]))) return true;
    return !strcmp(row->gpu, "l4");
}

/* PaddlePaddle's own figures are of A100, in TF32 and in mixed precision; what its tables have beside them is of Paddle-TRT, which hands
 * the whole network to TensorRT. */
static bool is_paddle_engine(const bench_row *row)
{
    if (row->task != TASK_INFERENCE || !is_from(row, "PaddlePaddle/Classification") || row->autocast) return false;
    return !row->precision || strcmp(row->precision, "tf32") != 0 || !row->gpu || strncmp(row->gpu, "a100", 4) != 0;
}

static size_t plain_length(const char *name)
{
    return strcspn(name, "+,");
}

const char *bench_precision(const bench_row *row)
{
    if (!row->precision || !row->precision[0] || is_halved_by_server(row)) return "fp16";
    if (is_fp8_engine(row)) return "fp8";
    size_t n = plain_length(row->precision);
    for (size_t i = 0; i < sizeof precisions / sizeof precisions[0]; i++)
        if (strlen(precisions[i]) == n && !strncmp(precisions[i], row->precision, n)) return precisions[i];
    return row->precision;
}

/* PyTorch's own baselines in NVIDIA's FasterTransformer are traced modules, its Temporal Fusion Transformer scripts all behind the
 * embeddings (modeling.py), the scripts that time FastPitch and HiFi-GAN set TORCHSCRIPT, and a Triton server takes scripted modules
 * alone. */
static bool is_traced(const bench_row *row, bool given)
{
    if (is_from(row, "triton")) return given;
    bool speaks = row->task == TASK_INFERENCE && (is_from(row, "PyTorch/SpeechSynthesis/FastPitch") ||
                                                  is_from(row, "PyTorch/SpeechSynthesis/HiFiGAN"));
    return (row->notes && strstr(row->notes, "TorchScript")) ||
           (row->source && strstr(row->source, "FasterTransformer")) || is_from(row, "PyTorch/Forecasting/TFT") ||
           speaks;
}

const char *bench_runtime(const bench_row *row)
{
    bool given = row->runtime && row->runtime[0];
    if ((!given || !strcmp(row->runtime, "pytorch")) && is_traced(row, given)) return "torchscript";
    if (given) return row->runtime;
    if (is_halved_by_server(row)) return "tensorflow";
    if (is_paddle_engine(row)) return "tensorrt";
    bool xla = row->precision && strstr(row->precision, "+xla");
    const char *math = bench_precision(row), *runtime = NULL;
    for (size_t i = 0; !runtime && row->source && i < sizeof sources / sizeof sources[0]; i++)
        if (strstr(row->source, sources[i].word)) runtime = sources[i].runtime;
    bool compiles = runtime && !strcmp(runtime, "tensorflow");
    for (size_t i = 0; compiles && !xla && i < sizeof compiled / sizeof compiled[0]; i++)
        xla = strstr(row->source, compiled[i]) != NULL;
    if (xla) return compiles ? "tensorflow-xla" : "pytorch-compile";
    if (runtime) return runtime;
    /* Eager frameworks have no products in 8 bits: it was an engine. */
    return !strcmp(math, "int8") || !strcmp(math, "fp8") ? "tensorrt" : "pytorch";
}

bool bench_block_scaled(const bench_row *row)
{
    return row->family && !strcmp(row->family, "fp8_block") && str_starts(str_c(row->model), "op:gemm:") &&
           !strcmp(bench_precision(row), "fp8") && !strstr(row->model, ":block=");
}

bool bench_exchanged(const bench_row *row)
{
    /* as tables are turned into benchmark files: every product has a batch, and the table's name of the operation for a family */
    return row->family && (!strcmp(row->family, "linear") || !strcmp(row->family, "bmm")) && row->runtime_version &&
           !strcmp(row->runtime_version, "2.1.0") && !strcmp(bench_runtime(row), "pytorch") &&
           !strcmp(bench_precision(row), "fp32") && str_starts(str_c(row->model), "op:gemm:batch=");
}

bool bench_device_time(const bench_row *row)
{
    return row->device_time && !(bench_block_scaled(row) && !strcmp(bench_runtime(row), "vllm"));
}

bool bench_half_norms(const bench_row *row, const char *gpu)
{
    static const char *const boards[] = {"rtx3090", "rtx4090"};
    if (!row->source || !strstr(row->source, "pytorch-image-models")) return false;
    if (row->task == TASK_TRAINING)
        return false; /* in half precision, larger batches than those that ran would have fitted */
    for (size_t i = 0; gpu && i < sizeof boards / sizeof boards[0]; i++)
        if (!strcmp(gpu, boards[i])) return true;
    return false;
}

bool bench_channels_last(const bench_row *row)
{
    if (row->given >> BENCH_KEY_layout & 1) return row->layout == LAYOUT_NHWC;
    /* the launch scripts of NVIDIA's DeepLearningExamples ask for it with mixed precision (of TensorFlow's, those that set
     * TF_ENABLE_LAYOUT_NHWC) */
    static const char *const scripts[] = {"PyTorch/Classification/ConvNets", "MxNet/Classification",
                                          "PaddlePaddle/Classification", "TensorFlow2/Segmentation/nnUNet"};
    for (size_t i = 0; row->autocast && i < sizeof scripts / sizeof scripts[0]; i++)
        if (is_from(row, scripts[i])) return true;
    return false;
}

bool bench_autocast(const bench_row *row)
{
    /* what NVIDIA's DeepLearningExamples call mixed precision is, in the inference of these, a model turned into half */
    static const char *const halved[] = {"PyTorch/Recommendation/NCF",     "PyTorch/Translation/GNMT",
                                         "PyTorch/SpeechRecognition/",     "PyTorch/SpeechSynthesis/",
                                         "PyTorch/LanguageModeling/BERT/", "PyTorch/LanguageModeling/Transformer-XL",
                                         "PyTorch/Recommendation/DLRM"};
    bool inference = row->task != TASK_TRAINING;
    for (size_t i = 0; inference && i < sizeof halved / sizeof halved[0]; i++)
        if (is_from(row, halved[i])) return false;
    return row->autocast || is_halved_by_server(row);
}

const char *bench_optimizer(const bench_row *row)
{
    if (row->optimizer || !row->source) return row->optimizer;
    /* what the training scripts of NVIDIA's DeepLearningExamples use, where it isn't Adam or a relative of it */
    static const char *const plain[] = {"/Classification/ConvNets", "/Recommendation/DLRM", "/Detection/SSD",
                                        "/Segmentation/MaskRCNN"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strstr(row->source, plain[i])) return "sgd";
    return NULL;
}

/* Training that has more, or other, networks in it than the one that it is named after: in NVIDIA's DeepLearningExamples ELECTRA's lengths of
 * 128 and 512 are of its pre-training (fine-tuning has 384), and translation is learnt from known pairs. */
const char *bench_model(const bench_row *row)
{
    if (row->task != TASK_TRAINING) return row->model;
    bool phase = row->seq_len == 128 || row->seq_len == 512;
    if (phase && is_from(row, "TensorFlow2/LanguageModeling/ELECTRA") && strstr(row->model, "electra-base"))
        return "electra-base-pretraining";
    if (!strcmp(row->model, "gnmt") && is_from(row, "Translation/GNMT")) return "gnmt-pairs";
    return row->model;
}

enum { PIECES = 32 }; /* of a sentence of news, on average */

/* A batch of sentences is decoded until its longest ends. With lengths spread like most texts' (log-normal, half an e-fold) that is the
 * expected greatest of so many; 80 is where GNMT's scripts stop. */
static int64_t longest_sentence(int64_t batch)
{
    double pieces = PIECES;
    for (int64_t n = 1; n < batch && pieces < 80; n *= 2) pieces *= n < 8 ? 1.21 : 1.17;
    return (int64_t)(pieces < 80 ? pieces : 80);
}

int64_t bench_sequence(const bench_row *row)
{
    bool training = row->task == TASK_TRAINING;
    if (is_from(row, "Translation/GNMT")) { /* one table has the beam's width in the column of lengths */
        if (row->seq_len > 10) return row->seq_len;
        if (training) return 0;
        int64_t longest = longest_sentence(row->batch > 0 ? row->batch : 1);
        /* In PyTorch what has ended leaves the batch: there are as many steps, and the work of the mean. */
        return is_from(row, "PyTorch/") ? (longest + PIECES) / 2 : longest;
    }
    if (!is_from(row, "LanguageModeling/BERT") || !training) return row->seq_len;
    /* Fine-tuning, on SQuAD: its scripts' only length. */
    if (!row->seq_len) return 384;
    /* Pre-training from files that are sorted by length, so that a batch is hardly padded: texts fill 512 places by half. */
    bool sorted = row->seq_len == 512 && (is_from(row, "PyTorch/") || is_from(row, "PaddlePaddle/"));
    return sorted ? 256 : row->seq_len;
}

const char *bench_version(const bench_row *row)
{
    if (row->runtime_version) return row->runtime_version;
    if (!row->source) return NULL;
    if (strstr(row->source, "NeuSight")) return "2.1";
    if (strstr(row->source, "FasterTransformer")) return "1.10"; /* its baselines: containers of 2020 to 2022 */
    /* NVIDIA's DeepLearningExamples: containers of 2020 and 2021, once of 2022 */
    bool examples = strstr(row->source, "PyTorch/") == row->source ||
                    strstr(row->source, "NVIDIA/DeepLearningExamples");
    const char *runtime = bench_runtime(row);
    if (examples && is_from(row, "PyTorch/Forecasting/TFT") && !strcmp(runtime, "torchscript")) return "1.13";
    if (examples && (!strcmp(runtime, "pytorch") || !strcmp(runtime, "torchscript"))) return "1.11";
    if (examples && !strcmp(runtime, "tensorrt")) return "8.2";
    if (examples && !strcmp(runtime, "onnxruntime")) return "1.10";
    return NULL;
}

/* ---- language models ---- */

/* Notebooks of XiongjieDai/GPU-Benchmarks-on-LLM-Inference: builds of llama.cpp from before it knew stages, which divided matrices among
 * all GPUs, each prompt the first of its process. Their prompt's length is no round number. */
enum { NOTEBOOK_PROMPT = 494, NOTEBOOK_ANSWER = 1023 };

static bool is_notebook(const bench_row *row)
{
    if (!row->runtime || strcmp(row->runtime, "llama.cpp") != 0 || row->input_len != NOTEBOOK_PROMPT) return false;
    return row->task == TASK_PREFILL ? !row->output_len
                                     : row->task == TASK_DECODE && row->output_len == NOTEBOOK_ANSWER;
}

static void set_up_notebook(bench_setup *s, const bench_row *row)
{
    if (row->given >> BENCH_KEY_first_run & 1) return;
    s->first_run = true;
    if (row->pipeline_parallel <= 1) return;
    s->tensor_parallel = (int)row->pipeline_parallel;
    s->pipeline_parallel = 1;
}

static bool has_indexer(const language_model *m)
{
    for (uint32_t i = 0; i < m->n_layers; i++)
        if (m->layers[i].index_top > 0) return true;
    return false;
}

static bool is_near(int64_t tokens, double usual)
{
    return fabs((double)tokens - usual) <= 0.1 * usual;
}

/* The lengths of InferenceMAX's runs, whose client draws them. */
static bool is_published(const bench_row *row)
{
    static const int64_t lengths[][2] = {{1024, 1024}, {1024, 8192}, {8192, 1024}};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        if (row->input_len == lengths[i][0] && row->output_len == lengths[i][1]) return true;
    return false;
}

static bool says_setup(const bench_row *row)
{
    static const int keys[] = {BENCH_KEY_max_requests,     BENCH_KEY_max_step_tokens,  BENCH_KEY_poll_steps,
                               BENCH_KEY_batch_wait_steps, BENCH_KEY_batch_wait_share, BENCH_KEY_speculative_tokens,
                               BENCH_KEY_shortest_share};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (row->given >> keys[i] & 1) return true;
    return false;
}

static bool has_latents(const language_model *m)
{
    for (uint32_t i = 0; i < m->n_layers; i++)
        if (m->layers[i].mixer == LM_MLA) return true;
    return false;
}

/* Scripts for SGLang: on Blackwell requests are looked for now and then, but for models with a sparse indexer in FP8. Steps take more tokens
 * than by default but for NVFP4, and fewer where DeepSeek's weights in FP8 fill four GPUs. */
static void set_up_sglang(bench_setup *s, const bench_row *row, const language_model *m, const gpu_spec *gpu,
                          int64_t requests)
{
    bool narrow = strstr(bench_precision(row), "fp4") != NULL;
    bool full = has_latents(m) && !has_indexer(m) && !narrow && row->tensor_parallel == FEW_GPUS;
    if (is_published(row)) s->max_step_tokens = full ? FEW_GPUS_TOKENS : narrow ? NARROW_TOKENS : WIDE_TOKENS;
    if (gpu->compute_capability < POLL_SINCE || has_indexer(m)) return;
    s->poll_steps = requests >= POLL_BUSY && !full ? POLL_STEPS_BUSY : POLL_STEPS;
}

/* One prompt beside the tokens that are decoded, and 64 more, up to a multiple of 64. */
static int64_t one_prompt(const bench_row *row, int64_t decoded)
{
    return (decoded + row->input_len + 64 + 63) / 64 * 64;
}

/* Scripts for DeepSeek's models under TensorRT-LLM: those that guess ahead ran in a container of their own for months, without guesses in
 * post2. Before that a step took one prompt; from then on those in FP8 wait for a fuller one. */
static void set_up_deepseek(bench_setup *s, const bench_row *row, double version, int64_t requests)
{
    if (row->runtime_version && strcmp(row->runtime_version, GUESSING) == 0) {
        s->speculative_tokens = GUESSES;
        s->max_step_tokens = one_prompt(row, (GUESSES + 1) * requests);
        return;
    }
    if (!is_published(row)) return;
    if (version < ONE_PROMPT_BEFORE) {
        s->max_step_tokens = one_prompt(row, requests);
    } else if (!strcmp(bench_precision(row), "fp8") && row->output_len == row->input_len &&
               requests >= DEEPSEEK_WAITS) {
        s->batch_wait_steps = DEEPSEEK_WAIT_STEPS;
        s->batch_wait_share = DEEPSEEK_WAIT_SHARE;
    }
}

/* Scripts for dense models under TensorRT-LLM; that one place fewer is taken under its old versions is no setting, but how their rows look. */
static void set_up_tensorrt(bench_setup *s, const bench_row *row, const language_model *m, int64_t requests)
{
    double version = row->runtime_version ? api_version_number(str_c(row->runtime_version)) : 0;
    if (lm_has_experts(m)) {
        if (has_latents(m)) set_up_deepseek(s, row, version, requests);
        return;
    }
    if (is_published(row)) s->max_step_tokens = DENSE_TOKENS;
    if (row->tensor_parallel < WAIT_GPUS && is_near(row->input_len, WAIT_TOKENS) &&
        is_near(row->output_len, WAIT_TOKENS)) {
        s->batch_wait_steps = WAIT_STEPS;
        s->batch_wait_share = WAIT_SHARE;
    }
    if (version > 0 && version < LOST_PLACE_BEFORE && requests > 1) s->max_requests = requests - 1;
}

bench_setup bench_language_setup(const bench_row *row, const runtime_profile *rt, const language_model *m,
                                 const gpu_spec *gpu)
{
    bench_setup s = {.max_requests = row->max_requests,
                     .max_step_tokens = row->max_step_tokens,
                     .speculative_tokens = (int)row->speculative_tokens,
                     .poll_steps = (int)row->poll_steps,
                     .batch_wait_steps = (int)row->batch_wait_steps,
                     .batch_wait_share = row->batch_wait_share,
                     .shortest_share = row->shortest_share,
                     .tensor_parallel = (int)row->tensor_parallel,
                     .pipeline_parallel = (int)row->pipeline_parallel,
                     .first_run = row->first_run};
    if (is_notebook(row)) set_up_notebook(&s, row);
    int64_t requests = row->concurrency ? row->concurrency : row->batch;
    if (row->task != TASK_SERVING || says_setup(row) || !rt || !m) return s;
    if (is_published(row)) s.shortest_share = SHORTEST_SHARE;
    if (str_is(rt->key, "sglang")) set_up_sglang(&s, row, m, gpu, requests);
    if (str_is(rt->key, "tensorrt-llm")) set_up_tensorrt(&s, row, m, requests);
    return s;
}

const char *bench_setup_name(const bench_row *row)
{
    bench_setup s = bench_language_setup(row, NULL, NULL, NULL);
    if (row->task == TASK_SERVING && row->metric == METRIC_TOKENS_PER_S) return "offline";
    if (s.tensor_parallel > 1 && str_is(str_c(bench_runtime(row)), "llama.cpp")) return "divided";
    return s.first_run && row->task == TASK_PREFILL ? "first" : "usual";
}
