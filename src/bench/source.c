/* What a row leaves open about who ran the model: taken from what it says of its source and precision. */
#include "bench/bench.h"

#include <string.h>

#include "base/format.h"

/* A source that names its framework or engine, by its folders: the first that fits. */
static const struct {
    const char *word, *runtime;
} sources[] = {
    {"_TRT", "tensorrt"},         {"TensorRT", "tensorrt"},
    {"triton", "tensorrt"}, /* a server's tables are of its fastest backend */
    {"TensorFlow", "tensorflow"}, {"onnxruntime", "onnxruntime"},
};

static const char *const precisions[] = {"fp32", "tf32", "fp16",  "bf16",  "fp8",
                                         "int8", "fp4",  "nvfp4", "mxfp4", "int4"};

static bool is_from(const bench_row *row, const char *folder)
{
    return (row->source && strstr(row->source, folder)) || (row->url && strstr(row->url, folder));
}

static size_t plain_length(const char *precision)
{
    return strcspn(precision, "+,");
}

const char *bench_precision(const bench_row *row)
{
    if (!row->precision || !row->precision[0]) return "fp16";
    size_t n = plain_length(row->precision);
    for (size_t i = 0; i < sizeof precisions / sizeof precisions[0]; i++)
        if (strlen(precisions[i]) == n && !strncmp(precisions[i], row->precision, n)) return precisions[i];
    return row->precision;
}

/* PyTorch's own baselines in NVIDIA's FasterTransformer are traced modules, its Temporal Fusion Transformer scripts all behind the
 * embeddings (modeling.py), and a Triton server takes scripted modules alone. */
static bool is_traced(const bench_row *row, bool given)
{
    if (is_from(row, "triton")) return given;
    return (row->notes && strstr(row->notes, "TorchScript")) ||
           (row->source && strstr(row->source, "FasterTransformer")) || is_from(row, "PyTorch/Forecasting/TFT");
}

const char *bench_runtime(const bench_row *row)
{
    bool given = row->runtime && row->runtime[0];
    if ((!given || !strcmp(row->runtime, "pytorch")) && is_traced(row, given)) return "torchscript";
    if (given) return row->runtime;
    bool xla = row->precision && strstr(row->precision, "+xla");
    const char *precision = bench_precision(row), *runtime = NULL;
    for (size_t i = 0; !runtime && row->source && i < sizeof sources / sizeof sources[0]; i++)
        if (strstr(row->source, sources[i].word)) runtime = sources[i].runtime;
    if (xla) return runtime && !strcmp(runtime, "tensorflow") ? "tensorflow-xla" : "pytorch-compile";
    if (runtime) return runtime;
    /* Eager frameworks have no products in 8 bits: it was an engine. */
    return !strcmp(precision, "int8") || !strcmp(precision, "fp8") ? "tensorrt" : "pytorch";
}

bool bench_block_scaled(const bench_row *row)
{
    return row->family && !strcmp(row->family, "fp8_block") && str_starts(str_c(row->model), "op:gemm:") &&
           !strcmp(bench_precision(row), "fp8") && !strstr(row->model, ":block=");
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
    if (row->given & 1u << BENCH_KEY_layout) return row->layout == LAYOUT_NHWC;
    /* the launch scripts of NVIDIA's DeepLearningExamples ask for it with mixed precision */
    static const char *const scripts[] = {"PyTorch/Classification/ConvNets", "MxNet/Classification",
                                          "PaddlePaddle/Classification"};
    for (size_t i = 0; row->autocast && i < sizeof scripts / sizeof scripts[0]; i++)
        if (is_from(row, scripts[i])) return true;
    return false;
}

bool bench_autocast(const bench_row *row)
{
    /* what NVIDIA's DeepLearningExamples call mixed precision is, in the inference of these, a model turned into half */
    static const char *const halved[] = {"PyTorch/Recommendation/NCF", "PyTorch/Translation/GNMT",
                                         "PyTorch/SpeechRecognition/", "PyTorch/SpeechSynthesis/Tacotron2",
                                         "PyTorch/LanguageModeling/BERT/"};
    bool inference = row->task != TASK_TRAINING;
    for (size_t i = 0; inference && i < sizeof halved / sizeof halved[0]; i++)
        if (is_from(row, halved[i])) return false;
    return row->autocast;
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
