/* What the commands show: plain structs in, a table, JSON, CSV or Markdown out (r->format). Nothing is computed here:
 * what is best, what is sorted how and which rows are left out was decided before. */
#ifndef RENDER_RENDER_H
#define RENDER_RENDER_H

#include "phantom/prices.h"
#include "render/report.h"

/* Texts that go into "warnings" of JSON; the other formats leave them to stderr. */
typedef struct render_warnings {
    const char *const *texts;
    size_t count;
} render_warnings;

typedef enum gpu_detail { GPU_BASIC, GPU_PROFILES, GPU_ALL } gpu_detail;

void render_gpus(report *r, const pg_gpu *const *gpus, size_t count, gpu_detail detail, render_warnings warnings);
void render_builtins(report *r, const pg_builtin *models, size_t count);

/* How amounts are shown, and which of them. */
typedef struct render_money {
    const char *code; /* "USD" */
    double rate;      /* of one US dollar */
    bool cost, carbon;
} render_money;

/* prices: offers that were chosen, and how many GPUs the hour is of. */
typedef struct render_offers {
    const pg_offer *const *list;
    size_t count, more; /* more: left out */
    bool spot;          /* sorted by spot prices */
    render_money money;
    render_warnings warnings;
} render_offers;

void render_offers_report(report *r, const render_offers *o);

/* recommend-gpu */
typedef struct render_advice {
    const pg_model_info *info;
    const pg_wish *wish;
    const pg_choice *const *held;   /* the first of those that hold all that is wanted */
    const pg_choice *const *missed; /* the nearest of the others */
    const pg_choice *const *front;  /* of those that hold: each is the cheapest that is so quick */
    size_t held_count, missed_count, front_count;
    size_t held_all, missed_all; /* with those that are not listed */
    const char *period;          /* "month": what the budget is of */
    double per_period;           /* months in it */
    double share_warn;           /* of the budget; 0: none */
    render_money money;
    render_warnings warnings;
} render_advice;

void render_advice_report(report *r, const render_advice *a);

/* A prediction with what was asked for. */
typedef struct render_row {
    const char *model, *path;
    const char *asked; /* the precision that was asked for */
    const pg_gpu *gpu;
    pg_prediction p;
    double relative;                                              /* throughput, the model's best being 1 */
    double per_watt;                                              /* throughput per watt; negative: not known */
    bool best_throughput, best_latency, best_per_watt, best_cost; /* of the model */
    pg_cost cost;                                                 /* negative where not asked for */
    const char *price_kind;                                       /* "on demand" "spot" "own"; NULL: no price */
    const char *price_cloud, *price_region, *price_instance;
    bool price_stale;
} render_row;

/* "throughput", "latency", "throughput_per_watt": the best row of a model; "batch": of a model on a GPU. */
typedef struct render_best {
    const char *by;
    const render_row *row;
} render_best;

typedef struct render_group {
    const pg_model_info *info;
    const render_row *rows;
    size_t row_count;
    const render_best *best;
    size_t best_count;
} render_group;

typedef struct render_comparison {
    const render_group *groups;
    size_t count;
    bool many_precisions, many_runtimes;    /* they differ between rows, so they get columns */
    const char *precision, *runtime, *task; /* what the rows share */
    render_money money;
    render_warnings warnings;
} render_comparison;

void render_comparison_report(report *r, const render_comparison *c);

/* Rows of --explain after sorting and cutting. */
typedef struct render_kind {
    const char *name; /* of the kernels, "conv" */
    uint64_t kernels;
    double time_ms, ideal_ms, share;
} render_kind;

typedef struct render_explanation {
    const pg_kernel_row *const *rows;
    size_t count;
    bool in_order;        /* as executed, else the longest first */
    uint64_t other_count; /* rows that were left out */
    double other_ms, other_ideal_ms, other_share;
    double total_ms, total_ideal_ms;
    uint64_t total_count;
    const render_kind *kinds; /* the longest first */
    size_t kind_count;
} render_explanation;

typedef struct render_model {
    const pg_model_info *info;
    const render_row *rows; /* the first in full, then all side by side */
    size_t row_count;
    render_money money;
    bool explain;                          /* was asked for */
    const render_explanation *explanation; /* NULL: not asked for, or there is none: the model doesn't fit */
    render_warnings warnings;
} render_model;

void render_model_report(report *r, const render_model *m);

/* Trace events (chrome://tracing, Perfetto) of one step: the GPU's stream and the host that feeds it. */
void render_trace(buffer *out, const render_row *row, const pg_explanation *explanation);

/* One way to serve a language model: so many requests at a time on so many GPUs that share it. */
typedef struct render_point {
    const pg_gpu *gpu;
    int tensor;
    int64_t requests;
    double per_user, per_gpu; /* tokens/s */
    double ttft_ms, tpot_ms;
    bool front; /* no other on this GPU is better in both */
} render_point;

typedef struct render_pareto {
    const char *model;
    int64_t input, output;
    const render_point *points; /* those of a GPU together, by per_user */
    size_t count;
    render_warnings warnings;
} render_pareto;

void render_pareto_report(report *r, const render_pareto *p);
void render_pareto_svg(buffer *out, const render_pareto *p);

/* Shared by the reports. */
void render_row_json(jsonw *j, const render_row *row);
void render_rows_csv_names(buffer *out);
void render_row_csv(buffer *out, const render_row *row);
void render_warnings_json(jsonw *j, render_warnings warnings);
void render_explanation_report(report *r, const render_explanation *e);
/* NULL: the members are null, the CSV has no rows. */
void render_explanation_json(jsonw *j, const render_explanation *e);
void render_explanation_csv(buffer *out, const render_explanation *e);
/* " · " or ", " */
const char *render_dot(const report *r);
/* "1.10 / 24 GiB": what of the memory is used */
void render_memory(char *out, size_t cap, double bytes, const char *between, double capacity);
/* Whether it has a speed: it fits, and the runtime is one for this GPU. */
static inline bool render_is_timed(const pg_prediction *p)
{
    return p->fits && p->latency_ms >= 0;
}
/* A table of predictions, and below it the notes of theirs. */
void render_rows(report *r, const render_row *rows, size_t count, const render_comparison *c);
/* language.c: the same for language models, where the tasks are prefill, decode or serving. */
bool render_is_language(const pg_prediction *p);
void render_language_rows(report *r, const render_row *rows, size_t count, const render_comparison *c);
void render_language_pairs(report *r, const pg_prediction *p);
/* Notes that are among the warnings were said already. */
void render_notes(report *r, const render_row *rows, size_t count, render_warnings warnings);
bool render_is_said(const char *note, render_warnings warnings);
/* What the column of intervals means. */
const char *render_interval_text(void);
/* costs.c: "3.67" "0.0042": an amount of US dollars in the currency of `money`. */
char *render_amount(char *out, size_t cap, const render_money *money, double usd);
/* "1.2 g" "3.4 kg" "5.6 t" */
char *render_grams(char *out, size_t cap, double grams);
/* "azure eastus Standard_NC24ads_A100_v4, on demand, 2026-06-18" */
void render_price_text(char *out, size_t cap, const pg_price *price);
/* The cells of cost an hour, cost a million, and carbon. */
void render_cost_cells(table *t, const render_row *row, const render_money *money);
/* Where the prices of the rows are from: a line for each GPU. */
void render_price_lines(report *r, const render_row *rows, size_t count, const render_money *money);
/* The pairs of one prediction. */
void render_cost_pairs(report *r, const render_row *row, const render_money *money);
/* A count or bytes as an integer, null where it isn't known. */
void render_whole_json(jsonw *j, double x);
/* "onnx, cnn, 25.6 M parameters, 4.09 G MACs, 97.5 MiB weights" */
void render_model_line(report *r, char *out, size_t cap, const pg_model_info *info);

#endif
