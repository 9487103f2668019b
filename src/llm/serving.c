#include "llm/serving.h"

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* A step that decodes for n requests and takes in a chunk of one more prompt. */
static llm_pass mixed_pass(const llm_case *c, double n, double chunks)
{
    llm_pass decode = llm_decode_pass(c, n, c->r.input, c->r.output),
             p = {.groups = 2, .steps = 1, .logits = n + 1 / chunks};
    double input = larger(c->r.input, 1), q = input / chunks;
    p.group[0] = decode.group[0];
    p.group[1] = (llm_group){1, q, {q + 0.2113 * (input - q), q + 0.7887 * (input - q)}};
    return p;
}

static double step_seconds(const llm_case *c, const llm_plan *p, double requests, const predict_gpu *g,
                           const predict_constants *pc, const predict_options *opt, llm_step *out)
{
    llm_step s = llm_predict_step(c, p, g, pc, opt);
    if (out) *out = s;
    return s.step_s + (opt->fast_mode || opt->device_time ? 0 : requests * c->r.runtime->llm_request_us * 1e-6);
}

pg_code llm_serving_make(llm_serving_plan *out, const llm_case *c, double concurrency, arena *a, pg_error *e)
{
    double chunk = llm_chunk(c), input = larger(c->r.input, 1);
    *out = (llm_serving_plan){.chunks = input > chunk ? ceil(input / chunk) : 1};
    pg_code code = PG_E_OK;
    for (double n = concurrency; out->levels < SERVING_LEVELS && !code; n = floor(n / 4)) {
        int i = out->levels;
        if (n < 1 || i == SERVING_LEVELS - 1) n = 1;
        llm_pass decode = llm_decode_pass(c, n, c->r.input, c->r.output), mixed = mixed_pass(c, n, out->chunks);
        out->requests[i] = n;
        code = llm_plan_make(&out->decode[i], c, &decode, a, e);
        if (!code) code = llm_plan_make(&out->mixed[i], c, &mixed, a, e);
        out->levels++;
        if (n <= 1) break;
    }
    out->burst_prompts = larger(1, floor(chunk / input));
    if (out->burst_prompts > concurrency) out->burst_prompts = concurrency;
    llm_pass burst = llm_prefill_pass(c, out->burst_prompts, input);
    return code ? code : llm_plan_make(&out->burst, c, &burst, a, e);
}

/* Sequences that the cache has room for. A runtime takes requests in as long as what they hold now fits: on average half of their output
 * is there. */
static double room(const llm_case *c, const predict_gpu *g, const predict_constants *pc)
{
    llm_case one = *c;
    one.r.batch = 1;
    llm_memory m = llm_memory_of(&one, g, pc);
    double capacity = g->spec->memory_bytes, share = c->r.runtime->memory_share > 0 ? c->r.runtime->memory_share : 1;
    if (capacity <= 0) return INFINITY;
    double tokens = llm_chunk(c), activations = llm_activation_bytes(c, tokens < 1e9 ? tokens : c->r.input, 1);
    double fixed = m.weights + activations + m.workspace + m.runtime, length = c->r.input + 0.5 * c->r.output;
    double most = llm_most_sequences(c, capacity * share - fixed, length);
    /* Where the usual share has room for nobody, whoever runs it gives all of the memory. */
    return most >= 1 ? most : llm_most_sequences(c, capacity - fixed, length);
}

typedef struct point {
    double decode, added; /* seconds of a step; what a prompt adds to such steps */
} point;

static point point_at(const llm_case *c, const llm_serving_plan *p, int i, const predict_gpu *g,
                      const predict_constants *pc, const predict_options *opt)
{
    double n = p->requests[i];
    point at = {.decode = step_seconds(c, &p->decode[i], n, g, pc, opt, NULL)};
    at.added = p->chunks * larger(step_seconds(c, &p->mixed[i], n + 1, g, pc, opt, NULL) - at.decode, 0);
    return at;
}

/* Times at n requests, between the two levels around it. */
static point interpolate(const llm_case *c, const llm_serving_plan *p, double n, const predict_gpu *g,
                         const predict_constants *pc, const predict_options *opt)
{
    int i = 0;
    while (i + 1 < p->levels && p->requests[i + 1] >= n) i++;
    point high = point_at(c, p, i, g, pc, opt);
    if (p->requests[i] <= n || i + 1 >= p->levels) return high;
    point low = point_at(c, p, i + 1, g, pc, opt);
    double share = (n - p->requests[i + 1]) / (p->requests[i] - p->requests[i + 1]);
    return (point){low.decode + share * (high.decode - low.decode), low.added + share * (high.added - low.added)};
}

llm_serving llm_serving_at(const llm_case *c, const llm_serving_plan *p, double requests, const predict_gpu *g,
                           const predict_constants *pc, const predict_options *opt)
{
    const runtime_profile *rt = c->r.runtime;
    bool plain = opt->fast_mode || opt->device_time;
    double most = room(c, g, pc), output = larger(c->r.output, 1),
           n = requests < most ? requests : larger(floor(most), 1);
    llm_serving s = {.asked = requests, .running = n};
    point at = interpolate(c, p, n, g, pc, opt);
    double cycle = output * at.decode + n * at.added, busy = n * at.added / cycle;
    /* A new request waits for the step that runs and for the prompts before it, then its own prompt runs. */
    double ahead = busy < 0.95 ? busy / (2 * (1 - busy)) : 10;
    double burst = step_seconds(c, &p->burst, p->burst_prompts, g, pc, opt, NULL) * p->burst.steps / p->burst_prompts;
    double first = 0.5 * (n - 1) * burst / (pc->serving_waves > 0 ? pc->serving_waves : 1);
    double prompt = p->chunks * at.decode + at.added;
    s.ttft_s = prompt + 0.5 * at.decode + (ahead < n ? ahead : n) * at.added + first +
               (plain ? 0 : rt->llm_prompt_us * 1e-6);
    s.tpot_s = output > 1 ? larger(cycle - prompt, 0) / (output - 1) : at.decode;
    if (s.tpot_s < at.decode) s.tpot_s = at.decode;
    s.request_s = s.ttft_s + (output - 1) * s.tpot_s;
    s.requests_per_s = n / cycle;
    if (requests > n) { /* the others wait until memory is free */
        s.waiting_share = 1 - n / requests;
        s.ttft_s += (requests - n) / s.requests_per_s;
        s.request_s += (requests - n) / s.requests_per_s;
    }
    s.prefill_share = busy;
    return s;
}

llm_serving llm_serving_predict(const llm_case *c, const llm_serving_plan *p, double requests, const predict_gpu *g,
                                const predict_constants *pc, const predict_options *opt)
{
    llm_serving s = llm_serving_at(c, p, requests, g, pc, opt);
    int i = 0;
    while (i + 1 < p->levels && p->requests[i + 1] >= s.running) i++;
    s.decode = llm_predict_step(c, &p->decode[i], g, pc, opt);
    return s;
}
