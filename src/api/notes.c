/* What a user should know of a plan's predictions on each GPU: a measurement that scales them, what stands in for units that the GPU
 * lacks, what the runtime wants, what nobody knows of the server. Texts are made once a plan, so that predicting allocates nothing. */
#include "api/api.h"

enum { NOTES_MOST = 8, NOTE_SIZE = 640 };

typedef struct shared_notes {
    const char *scaled, *own;  /* of a measurement; NULL: there is none */
    const char *elsewhere;     /* whose boards the runtime is for */
    const char *older, *paths; /* what it wants of them; how GPUs reach each other */
} shared_notes;

bool api_is_made_by(const gpu_spec *s, str vendor)
{
    char own[64], other[64]; /* a user's file may spell it in any case */
    return str_eq((str){own, str_fold(own, sizeof own, s->vendor)},
                  (str){other, str_fold(other, sizeof other, vendor)});
}

bool api_runs_on(const pg_plan *p, const gpu_spec *s)
{
    return !p->runtime->vendor.len || !s->vendor.len || api_is_made_by(s, p->runtime->vendor);
}

static bool is_too_old(const pg_plan *p, const gpu_spec *s)
{
    return s->compute_capability > 0 && s->compute_capability < p->runtime->capability_least;
}

/* Runtimes that name no vendor run everywhere. */
static void list_free_runtimes(const api_config *c, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < c->n_runtimes && n < size; i++)
        if (!c->runtimes[i].vendor.len)
            n += format_text(text + n, size - n, "%s%.*s", n ? ", " : "", STR_ARG(c->runtimes[i].key));
}

static bool make_shared(pg_plan *p, shared_notes *out)
{
    const runtime_profile *rt = p->runtime;
    char text[NOTE_SIZE], others[NOTE_SIZE / 2];
    bool ok = true;
    *out = (shared_notes){.scaled = NULL};
    if (p->measured_gpu) {
        format_text(text, sizeof text, "scaled by your measurement on %s", p->measured_gpu->pub.key);
        out->scaled = api_text(&p->a, str_c(text));
        out->own = p->measured_again.again ? "your own measurement" : "your own measurement at another batch size";
        ok = out->scaled != NULL;
    }
    if (ok && rt->vendor.len) {
        list_free_runtimes(&p->catalog->config, others, sizeof others);
        format_text(text, sizeof text, "%.*s runs on %.*s GPUs alone; on others run %s", STR_ARG(rt->name),
                    STR_ARG(rt->vendor), others);
        out->elsewhere = api_text(&p->a, str_c(text));
        ok = out->elsewhere != NULL;
    }
    if (ok && rt->capability_least > 0) {
        format_text(text, sizeof text, "%.*s wants compute capability %.1f; older GPUs have old versions of it at best",
                    STR_ARG(rt->name), rt->capability_least);
        out->older = api_text(&p->a, str_c(text));
        ok = out->older != NULL;
    }
    out->paths =
        "how fast more than two GPUs without NVLink exchange data depends on the server: its switches, and whether boards "
        "reach each other (peer_access)";
    return ok;
}

/* Precisions that a GPU has no unit for run on the next one that it has. */
static const char *precision_note(const pg_plan *p, const gpu_spec *s)
{
    precision math = p->language ? p->language->c.math : p->math;
    if (api_is_narrow(math) && s->tflops[math] > 0 && s->tflops[math] < s->tflops[PREC_FP16])
        return math == PREC_INT8 ? "INT8 is slower than FP16 here: computes in FP16"
                                 : "FP8 is slower than FP16 here: computes in FP16";
    if (!p->plan.lone && math == PREC_FP32 && s->tflops[PREC_TF32] > 0 &&
        (p->runtime->conv_tf32 || p->runtime->gemm_tf32))
        return p->runtime->gemm_tf32 ? "fp32 convolutions and products run on TF32 units, the runtime's default"
                                     : "fp32 convolutions run on TF32 units, the framework's default";
    if (math == PREC_INT4 && !p->language) return "weights of 4 bits: computes in FP16";
    if (s->tflops[math] > 0) return NULL;
    switch (math) {
    case PREC_FP8: return "no FP8 units: computes in FP16";
    case PREC_FP4: return "no FP4 units: computes in FP16";
    case PREC_INT8: return "no INT8 units: computes in FP16";
    case PREC_TF32: return "no TF32 units: computes in FP32";
    case PREC_BF16: return "no BF16 tensor cores: computes in FP32";
    case PREC_FP16: return "no FP16 tensor cores: computes on the vector units";
    default: return NULL;
    }
}

/* Who trains in 16 bits mostly means mixed precision, which takes up to twice the memory. */
static const char *training_note(const pg_plan *p)
{
    bool half = p->math == PREC_FP16 || p->math == PREC_BF16;
    if (p->language || p->request.task != PG_TASK_TRAINING || !half || p->request.autocast) return NULL;
    return "weights, gradients and optimizer have 16 bits too; with --autocast (mixed precision) they have 32";
}

/* GPUs that exchange data in this plan, in one group. */
static double talking_gpus(const pg_plan *p)
{
    const api_split *s = &p->split;
    if (p->plan.lone) return s->gpus;
    bool gradients = p->request.task == PG_TASK_TRAINING && s->data > s->tensor;
    return gradients ? s->data : s->tensor;
}

static bool has_shared_paths(const pg_plan *p, const gpu_spec *s)
{
    cost_gpu g;
    if (talking_gpus(p) <= 2) return false;
    cost_gpu_init(&g, s, &p->catalog->config.cost);
    return cost_comm_crowd(&g, talking_gpus(p)) > 1;
}

/* All that there is to say of a GPU, the most urgent first; NULL: nothing. */
static pg_code join(const char **out, pg_plan *p, const char *const *all, pg_error *e)
{
    char text[NOTE_SIZE];
    size_t n = 0, count = 0;
    for (int k = 0; k < NOTES_MOST; k++) {
        if (!all[k]) continue;
        if (n < sizeof text) n += format_text(text + n, sizeof text - n, "%s%s", count++ ? "; " : "", all[k]);
        *out = all[k];
    }
    if (count > 1) *out = api_text(&p->a, str_c(text));
    return count && !*out ? error_nomem(e, &p->a) : PG_E_OK;
}

pg_code api_notes_make(pg_plan *p, pg_error *e)
{
    static const char *const waits = "memory holds fewer requests at a time than these: the others wait";
    const pg_catalog *c = p->catalog;
    bool serving = p->request.task == PG_TASK_SERVING;
    shared_notes shared;
    p->notes = ARENA_ARRAY(&p->a, const char *, c->count);
    p->waiting_notes = serving ? ARENA_ARRAY(&p->a, const char *, c->count) : p->notes;
    if (!p->notes || !p->waiting_notes || !make_shared(p, &shared)) return error_nomem(e, &p->a);
    pg_code code = PG_E_OK;
    for (size_t i = 0; i < c->count && !code; i++) {
        const gpu_spec *s = c->list[i].spec;
        bool runs = api_runs_on(p, s);
        const char *all[NOTES_MOST] = {
            NULL,
            &c->list[i] == p->measured_gpu ? shared.own : shared.scaled,
            runs ? NULL : shared.elsewhere,
            runs && is_too_old(p, s) ? shared.older : NULL,
            runs ? precision_note(p, s) : NULL,
            runs && has_shared_paths(p, s) ? shared.paths : NULL,
            training_note(p),
            s->note.len ? s->note.ptr : NULL,
        };
        if (c->list[i].warning[0]) p->notes[i] = c->list[i].warning; /* where there is nothing more urgent */
        code = join(&p->notes[i], p, all, e);
        all[0] = waits;
        if (!code && serving) code = join(&p->waiting_notes[i], p, all, e);
    }
    return code;
}

const char *api_note(const pg_plan *p, const api_gpu *g, bool waits)
{
    return (waits ? p->waiting_notes : p->notes)[g - p->catalog->list];
}
