/* Predictions a second on two cores, of a graph that is loaded once.
 *
 * A plan is a model at one batch size; it holds the shapes and the kernels, and is put on any number of GPUs. So there are
 * three figures: plans that are there already; a new plan for each batch size, put on ten GPUs; a new plan for each prediction. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "phantom/phantom.h"
#include "support/measure.h"

enum { THREADS = 2, GPUS = 10, BATCHES = 16 };

static const double seconds = 0.6; /* of each figure */

typedef struct bench {
    pg_catalog *catalog;
    pg_model *model;
    const pg_gpu *gpus[GPUS];
    pg_plan *plans[BATCHES];
    pg_task task;
    int per_plan; /* predictions from a plan until it is made anew; 0: never */
    atomic_bool failed;
} bench;

typedef struct worker {
    bench *b;
    pthread_t thread;
    unsigned number;
    double start, end, cpu; /* seconds; cpu: while it really ran */
    uint64_t predictions;
    double check; /* so that nothing is optimised away */
} worker;

static pg_plan *open_plan(bench *b, unsigned i)
{
    pg_error e = PG_ERROR_INIT;
    pg_plan *plan;
    pg_request request = {.batch = 1 + (int64_t)(i % BATCHES), .task = b->task};
    if (!pg_plan_open(&plan, b->model, b->catalog, &request, &e)) return plan;
    fprintf(stderr, "%s\n", e.text);
    b->failed = true;
    return NULL;
}

static double predict(bench *b, const pg_plan *plan, unsigned i)
{
    pg_error e = PG_ERROR_INIT;
    pg_prediction p;
    if (pg_plan_predict(plan, b->gpus[i % GPUS], &p, &e)) b->failed = true;
    return p.latency_ms;
}

static void *work(void *ud)
{
    worker *w = ud;
    bench *b = w->b;
    w->start = measure_now();
    unsigned i = w->number * 7, n = b->per_plan ? (unsigned)b->per_plan : GPUS;
    uint64_t predictions = 0; /* here and not in *w: threads that write next to each other wait for each other */
    double check = 0, end;
    do {
        pg_plan *plan = b->per_plan ? open_plan(b, i) : b->plans[i % BATCHES];
        for (unsigned k = 0; k < n && plan; k++) check += predict(b, plan, i + k);
        if (b->per_plan) pg_plan_free(plan);
        predictions += n;
        i++;
        end = measure_now();
    } while (end - w->start < seconds && !b->failed);
    w->end = end;
    w->cpu = measure_thread_cpu();
    w->predictions = predictions;
    w->check = check;
    return NULL;
}

/* Predictions a second of all threads together, and what one takes of a core, however many others want that core. */
static double run(const char *what, bench *b, int threads, int per_plan)
{
    worker w[THREADS] = {0};
    double rate = 0, cpu = 0, predictions = 0;
    b->per_plan = per_plan;
    for (int i = 0; i < threads; i++) {
        w[i].b = b;
        w[i].number = (unsigned)i;
        if (pthread_create(&w[i].thread, NULL, work, &w[i])) exit(EXIT_FAILURE);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(w[i].thread, NULL);
        rate += (double)w[i].predictions / (w[i].end - w[i].start);
        predictions += (double)w[i].predictions;
        cpu += w[i].cpu;
    }
    printf("  %-46s %9.0f /s, %7.2f us of a core each\n", what, rate, cpu / predictions * 1e6);
    return rate;
}

static bool measure_model(pg_catalog *catalog, const char *name, pg_task task, double limit)
{
    static const char *const keys[GPUS] = {"v100", "t4",      "a100",    "a10",  "l4",
                                           "l40s", "rtx3090", "rtx4090", "h100", "h200"};
    bench b = {.catalog = catalog, .task = task};
    pg_error e = PG_ERROR_INIT;
    bool ok = !pg_model_open(&b.model, name, NULL, &e);
    for (int i = 0; i < GPUS && ok; i++) ok = (b.gpus[i] = pg_catalog_find(catalog, keys[i], &e)) != NULL;
    for (unsigned i = 0; i < BATCHES && ok; i++) ok = (b.plans[i] = open_plan(&b, i)) != NULL;
    if (!ok) fprintf(stderr, "%s: %s\n", name, e.text);
    if (ok) {
        char what[96];
        printf("%s: %llu operators\n", name, (unsigned long long)pg_model_describe(b.model)->operators);
        run("one thread, plans that are there already", &b, 1, 0);
        double two = run("two threads, plans that are there already", &b, THREADS, 0);
        run("two threads, a new plan for each prediction", &b, THREADS, 1);
        run("two threads, a new plan for ten GPUs", &b, THREADS, GPUS);
        snprintf(what, sizeof what, "  %s, graph loaded once, predictions on two cores", name);
        ok = measure_limit(what, two, "/s", limit, true) && !b.failed;
    }
    for (int i = 0; i < BATCHES; i++) pg_plan_free(b.plans[i]);
    pg_model_free(b.model);
    return ok;
}

int main(void)
{
    pg_catalog *catalog;
    pg_error e = PG_ERROR_INIT;
    if (pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return EXIT_FAILURE;
    }
    bool image = measure_model(catalog, "resnet50", PG_TASK_INFERENCE, 100000),
         text = measure_model(catalog, "bert-base-uncased", PG_TASK_INFERENCE, 50000),
         language = measure_model(catalog, "llama-2-7b", PG_TASK_DECODE, 50000);
    pg_catalog_free(catalog);
    return image && text && language ? EXIT_SUCCESS : EXIT_FAILURE;
}
