/* Rows that are well formed, whose figure is of something else than what would be predicted: why, in words. */
#include <string.h>

#include "api/api.h"
#include "base/format.h"
#include "base/number.h"
#include "bench/bench.h"

typedef struct other_thing {
    const char *folder, *model; /* parts of the row's source and of its model's name */
    int metric;                 /* METRIC_COUNT: any */
    const char *why;
} other_thing;

/* Of inference. What these tables' own texts say that they measure. */
static const other_thing others[] = {
    {"LanguageModeling/BART", "bart", METRIC_COUNT,
     "of summaries that are written word by word; one pass over given texts is predicted"},
    {"PyTorch/Translation/Transformer", "transformer", METRIC_COUNT,
     "of translations that are written word by word; one pass over given texts is predicted"},
    {"TensorFlow/LanguageModeling/BERT", "bert", METRIC_LATENCY_MS,
     "a mean with a first step of seconds in it (above the 99th percentile beside it)"},
    {"/gptj", "gpt-j", METRIC_COUNT, "of summaries of up to 128 tokens in four beams: --task serving predicts answers"},
    {"closed/", "dlrm", METRIC_COUNT,
     "a sample of MLPerf's is 100 to 700 rows of the model's, which the row doesn't count"},
};

static bool is_mlperf(const bench_row *row)
{
    return row->source && (strstr(row->source, "MLPerf") || strstr(row->source, "closed/"));
}

/* The round of MLPerf Inference, where the row gives it; 0: it doesn't. */
static int mlperf_round(const bench_row *row)
{
    static const char *const marks[] = {"Inference v", "inference_results_v", "inference_v"};
    const char *texts[] = {row->source, row->url, row->notes};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t k = 0; texts[i] && k < sizeof marks / sizeof marks[0]; k++) {
            const char *at = strstr(texts[i], marks[k]);
            char digit = at ? at[strlen(marks[k])] : 0;
            if (digit >= '0' && digit <= '9') return digit == '0' ? 1 : digit - '0';
        }
    return 0;
}

/* Rounds up to 1.1, of 2020 and 2021, had volumes of one size; since 2.0 a sample is a scan of several tens of windows. Without the
 * round this is a guess: a GPU of before 2021 was most likely run in the old ones, one of since then in the new, and so were A100s of
 * 80 GB, which came when the old ones ended. */
static const char *scans(const bench_row *row, const pg_gpu *gpu)
{
    if (!is_mlperf(row) || strcmp(row->model, "3d-unet") != 0) return NULL;
    int round = mlperf_round(row);
    bool newer = gpu->release_year >= 2021 || gpu->memory_bytes > 60e9;
    if (round ? round < 2 : !newer) return NULL;
    return "since MLPerf 2.0 a sample is a scan of several tens of windows (3d-unet-kits19 is one), which the row doesn't "
           "count";
}

/* MLPerf's runs for the most work per watt hold the board to less power than it is made for, and don't say to how much. */
static const char *held_back(const bench_row *row)
{
    bool slowed = row->source && strstr(row->source, "_MaxQ");
    return slowed ? "run under a power limit of its own (MaxQ), which the row does not give" : NULL;
}

/* A table that has sentences a second, which wider beams lower, where others have times, and the beam where they have lengths. */
static const char *speeds(const bench_row *row)
{
    bool beam = row->seq_len > 0 && row->seq_len <= 10 && row->metric == METRIC_LATENCY_MS;
    if (!beam || !row->source || !strstr(row->source, "TensorFlow/Translation/GNMT")) return NULL;
    return "sentences a second in the place of a time: it falls with the width of the beam";
}

/* What 128 letters sound like lasts 600 to 620 frames of 256 samples, 22050 a second: a column beside the times. */
enum { LETTERS = 128, SPEECH_LEAST = 6900, SPEECH_MOST = 7300 };

static const char *spoken(const bench_row *row)
{
    bool letters = row->metric == METRIC_LATENCY_MS && row->seq_len == LETTERS && row->source &&
                   strstr(row->source, "SpeechSynthesis/Tacotron2");
    return letters && row->value >= SPEECH_LEAST && row->value <= SPEECH_MOST
             ? "how long the speech lasts (seven seconds for 128 letters), in the place of the time that it took"
             : NULL;
}

enum { STEP_MOST = 600 }; /* seconds */

/* Nobody measures a step of hours: throughput in millions, written as if in ones, looks like that. */
static const char *beyond_belief(const bench_row *row, arena *a)
{
    char text[128], time[NUMBER_SIZE];
    double seconds = row->task == TASK_INFERENCE || row->task == TASK_TRAINING ? bench_seconds(row) : -1;
    if (!(seconds > STEP_MOST)) return NULL;
    format_text(text, sizeof text, "a step of %s is beyond belief: is the value in another unit, as millions?",
                number_time(time, sizeof time, seconds * 1e3, false));
    return str_copy(a, str_c(text)).ptr;
}

const char *bench_doubt(const bench_row *row, const pg_gpu *gpu, arena *a)
{
    const char *why = held_back(row);
    if (!why) why = beyond_belief(row, a);
    if (!why) why = scans(row, gpu);
    if (!why) why = speeds(row);
    if (!why) why = spoken(row);
    for (size_t i = 0; !why && row->task == TASK_INFERENCE && row->source && i < sizeof others / sizeof others[0];
         i++) {
        const other_thing *o = &others[i];
        if (!strstr(row->source, o->folder) || !strstr(row->model, o->model)) continue;
        if (o->metric == METRIC_COUNT || o->metric == (int)row->metric) why = o->why;
    }
    return why;
}

/* Winograd and sparsity need fewer operations than are counted, boards pass their boost clock, and a search of fewer beams than are
 * taken here does less: together not eight times. */
static const double PEAKS = 8;

const char *bench_impossible(const bench_point *p, arena *a)
{
    char text[160], time[NUMBER_SIZE], least[NUMBER_SIZE];
    const bench_row *row = p->row;
    /* Times have one unit here. */
    bool counted = row->task == TASK_INFERENCE && row->metric == METRIC_THROUGHPUT;
    double seconds = counted ? bench_seconds(row) : -1;
    double roof = p->p.compute_utilization * p->p.latency_ms * 1e-3 / PEAKS;
    if (!(seconds > 0) || seconds >= roof) return NULL;
    format_text(
        text, sizeof text,
        "a step of %s is beyond belief: at eight times its peak rates this GPU needs %s: is the value in another unit?",
        number_time(time, sizeof time, seconds * 1e3, false), number_time(least, sizeof least, roof * 1e3, false));
    return str_copy(a, str_c(text)).ptr;
}

/* What a server's clients wait for holds the way of the pictures to it, which takes longer than the network does; a volume of nnU-Net's is
 * 56 pictures' worth. */
const char *bench_doubt_images(const bench_row *row)
{
    bool server = row->source && strstr(row->source, "/triton/") && row->task == TASK_INFERENCE;
    return server && !(row->runtime && row->runtime[0])
             ? "what a server's clients wait for, most of it the way of the pictures or volumes to it"
             : NULL;
}
