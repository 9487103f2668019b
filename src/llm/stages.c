#include "llm/stages.h"

#include "base/libc.h"

enum {
    STEPS_MOST = 48, /* that are looked at one by one: later ones follow each other at the pace of the last of them */
    KEPT = LLM_STAGES_AHEAD
};

/* One stage: when its last chunks began and ended. */
typedef struct stage {
    double share; /* of the layers */
    double begin[KEPT], end[KEPT];
} stage;

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* When launch `index` of a stage, counted from its first chunk, is done; `now`: the chunk that is being issued. Chunks that the host has
 * waited for are. */
static double done_at(const llm_stages *s, const stage *st, double index, int now)
{
    double each = s->launches * st->share;
    if (index < 0 || !(each > 0)) return 0;
    double chunk = floor(index / each);
    if (chunk > now) chunk = now;
    if (chunk <= now - s->ahead) return 0;
    int at = (int)chunk % KEPT;
    double part = index / each - chunk;
    return st->begin[at] + (part < 1 ? part : 1) * st->share * s->step_s;
}

/* Issues chunk `n` on a stage when the host is at `*host`, and `before` is when the stage before it is done. */
static void issue(const llm_stages *s, stage *st, int n, double before, double *host)
{
    int at = n % KEPT, last = (n + KEPT - 1) % KEPT;
    double each = s->launches * st->share, first = *host, queue = s->queue > 0 ? s->queue : INFINITY;
    if (n >= s->ahead) first = larger(first, st->end[(n - s->ahead) % KEPT]);
    first = larger(first, done_at(s, st, n * each - queue, n - 1));
    st->begin[at] = larger(first, larger(before, n ? st->end[last] : 0));
    st->end[at] = st->begin[at] + st->share * s->step_s;
    *host = larger(first, done_at(s, st, (n + 1) * each - queue, n));
}

double llm_stages_seconds(const llm_stages *s)
{
    stage list[LLM_STAGES_MOST];
    int stages = s->stages < LLM_STAGES_MOST ? s->stages : LLM_STAGES_MOST;
    for (int i = 0; i < stages; i++)
        list[i] = (stage){.share = (ceil((i + 1) * s->layers / stages) - ceil(i * s->layers / stages)) / s->layers};
    double host = 0, end = 0, middle = 0;
    int n = 0;
    for (; n < STEPS_MOST && n < s->steps; n++) {
        double before = 0;
        for (int i = 0; i < stages; i++) {
            issue(s, &list[i], n, before, &host);
            end = list[i].end[n % KEPT];
            before = end + s->hop_s;
        }
        if (n == STEPS_MOST / 2 - 1) middle = end;
    }
    return s->steps > n ? end + (s->steps - n) * (end - middle) / (STEPS_MOST - STEPS_MOST / 2) : end;
}
