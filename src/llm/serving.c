#include "llm/serving.h"

enum { PARTS_MOST = 256 }; /* of one prompt: more take no other time, but long to simulate */

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* How far lengths lie from their mean, up and down: prompts and answers between a share of what is asked for and all of it. */
static double spread_of(const llm_case *c)
{
    return c->r.shortest > 0 ? (1 - c->r.shortest) / (1 + c->r.shortest) : 0;
}

/* The request of mean length. */
static llm_case mean_of(const llm_case *c)
{
    llm_case mean = *c;
    mean.r.input /= 1 + spread_of(c);
    mean.r.output /= 1 + spread_of(c);
    return mean;
}

/* A step over prompts and, if there are any, requests that are decoded. Prompts that fit into a step are whole, of longer ones there is a
 * part that sees what lies before it. */
static llm_pass prompts_pass(const llm_case *c, double requests, double prompts, double parts)
{
    llm_pass decode = llm_decode_pass(c, requests, c->r.input, c->r.output),
             p = {.steps = 1, .logits = decode.logits + prompts / parts};
    double input = larger(c->r.input, 1), q = input / parts;
    if (requests > 0) p.group[p.groups++] = decode.group[0];
    p.group[p.groups++] = (llm_group){prompts, q, {q + 0.2113 * (input - q), q + 0.7887 * (input - q)}, 0};
    return p;
}

static double step_seconds(const llm_case *c, const llm_plan *p, double requests, const predict_gpu *g,
                           const predict_constants *pc, const predict_options *opt)
{
    double seconds = llm_predict_step(c, p, g, pc, opt).step_s;
    return opt->fast_mode || opt->device_time ? seconds : seconds + requests * c->r.runtime->llm_request_us * 1e-6;
}

/* One prompt in a step, as many as fit, and a number between; one part of a prompt that doesn't fit. */
static pg_code make_loads(llm_serving_plan *out, const llm_case *c, double concurrency, arena *a, pg_error *e)
{
    double chunk = llm_chunk(c), input = larger(c->r.input, 1), parts = input > chunk ? ceil(input / chunk) : 1;
    double most = input > chunk ? 1 : floor(chunk / input);
    if (most > concurrency) most = concurrency;
    const double prompts[SIMULATE_LOADS] = {1, floor(sqrt(most) + 0.5), most};
    pg_code code = PG_E_OK;
    for (int i = 0; i < SIMULATE_LOADS && !code; i++) {
        if (i && prompts[i] <= prompts[i - 1]) continue;
        int at = out->loads++;
        llm_pass alone = prompts_pass(c, 0, prompts[i], parts), mixed = prompts_pass(c, concurrency, prompts[i], parts);
        out->tokens[at] = prompts[i] * input / parts;
        code = llm_plan_make(&out->alone[at], c, &alone, a, e);
        if (!code) code = llm_plan_make(&out->mixed[at], c, &mixed, a, e);
    }
    return code;
}

pg_code llm_serving_make(llm_serving_plan *out, const llm_case *asked, double concurrency, arena *a, pg_error *e)
{
    llm_case mean = mean_of(asked);
    const llm_case *c = &mean;
    *out = (llm_serving_plan){.levels = 0};
    double levels[SIMULATE_LEVELS];
    int n = 0;
    for (double r = concurrency; n < SIMULATE_LEVELS; r = floor(r / 4)) {
        levels[n] = r < 1 || n == SIMULATE_LEVELS - 1 ? 1 : r;
        if (levels[n++] <= 1) break;
    }
    pg_code code = PG_E_OK;
    for (int i = 0; i < n && !code; i++) {
        llm_pass decode = llm_decode_pass(c, levels[n - 1 - i], c->r.input, c->r.output);
        out->requests[i] = levels[n - 1 - i];
        code = llm_plan_make(&out->decode[i], c, &decode, a, e);
        out->levels++;
    }
    return code ? code : make_loads(out, c, concurrency, a, e);
}

enum { FEW = 8 };

/* Sequences that the cache has room for: a runtime takes a request in when its prompt and `reserve_share` of its output fit. */
static double room(const llm_case *c, const predict_gpu *g, const predict_constants *pc)
{
    const runtime_profile *rt = c->r.runtime;
    llm_case one = *c;
    one.r.batch = 1;
    llm_memory m = llm_memory_of(&one, g, pc);
    double capacity = g->spec->memory_bytes, share = rt->memory_share > 0 ? rt->memory_share : 1;
    if (capacity <= 0) return INFINITY;
    double tokens = llm_chunk(c), activations = llm_activation_bytes(c, tokens < 1e9 ? tokens : c->r.input, 1);
    double fixed = m.weights + activations + m.workspace + m.runtime,
           length = c->r.input + rt->reserve_share * c->r.output;
    double cache = rt->share_of_rest ? share * (capacity - fixed) : share * capacity - fixed;
    double most = llm_most_sequences(c, cache, length);
    /* Where the usual share has room for next to nobody, whoever runs it raises it until a few fit. */
    double all = llm_most_sequences(c, capacity - fixed, length);
    if (all > FEW) all = FEW;
    return most > all ? most : all;
}

static simulate_steps steps_of(const llm_case *c, const llm_serving_plan *p, const predict_gpu *g,
                               const predict_constants *pc, const predict_options *opt)
{
    simulate_steps t = {.levels = p->levels, .loads = p->loads};
    for (int i = 0; i < p->levels; i++) {
        t.requests[i] = p->requests[i];
        t.decode[i] = step_seconds(c, &p->decode[i], p->requests[i], g, pc, opt);
    }
    const runtime_profile *rt = c->r.runtime;
    bool plain = opt->fast_mode || opt->device_time;
    double most = p->requests[p->levels - 1], decode = t.decode[p->levels - 1], one = t.decode[0];
    double slower = rt->prompt_speed > 0 && !plain ? 1 / rt->prompt_speed : 1,
           mixed = plain ? 0 : rt->llm_mixed_us * 1e-6;
    for (int i = 0; i < p->loads; i++) {
        double alone = step_seconds(c, &p->alone[i], 1, g, pc, opt),
               added = step_seconds(c, &p->mixed[i], most + 1, g, pc, opt) - decode;
        t.tokens[i] = p->tokens[i];
        t.alone[i] = one + larger(alone - one, 0) * slower + mixed;
        t.added[i] = larger(added, 0) * slower + mixed;
        if (i) t.alone[i] = larger(t.alone[i], t.alone[i - 1]);
        if (i) t.added[i] = larger(t.added[i], t.added[i - 1]);
    }
    if (!plain) t.least = c->layers * rt->llm_layer_us * 1e-6 * predict_host_slowness(g->spec, rt, pc);
    return t;
}

/* Seconds between a request's being sent and its being there; those that only come before its first answer are among them. */
static double delay(const llm_case *c)
{
    const runtime_profile *rt = c->r.runtime;
    return (rt->llm_prompt_us + (lm_has_experts(&c->model) ? rt->llm_experts_us : 0)) * 1e-6;
}

llm_serving llm_serving_at(const llm_case *asked, const llm_serving_plan *p, double requests, const predict_gpu *g,
                           const predict_constants *pc, const predict_options *opt)
{
    llm_case mean = mean_of(asked);
    const llm_case *c = &mean;
    const runtime_profile *rt = c->r.runtime;
    bool plain = opt->fast_mode || opt->device_time;
    double memory = larger(floor(room(c, g, pc)), 1), output = larger(c->r.output, 1);
    double most = c->r.most_requests > 0 && c->r.most_requests < memory ? c->r.most_requests : memory;
    simulate_steps steps = steps_of(c, p, g, pc, opt);
    simulate_setup u = {.requests = requests,
                        .prompts = requests * larger(pc->serving_waves, 1),
                        .slots = most,
                        .input = larger(c->r.input, 1),
                        .output = output,
                        .tokens = llm_step_tokens(c),
                        .rows = 1 + c->r.guesses,
                        .spread = c->r.shortest > 0 ? spread_of(c) : pc->serving_spread,
                        .prompt_spread = spread_of(c),
                        .budget = larger(llm_chunk(c), c->r.input / PARTS_MOST),
                        .whole = rt->whole_prompts,
                        .apart = rt->prompts_apart,
                        .poll = c->r.poll_steps,
                        .wait_steps = c->r.wait_steps,
                        .wait_share = c->r.wait_share,
                        .join = plain ? 0 : rt->llm_join_us * 1e-6,
                        .delay = plain ? 0 : delay(c),
                        .token_delay = plain ? 0 : rt->llm_token_us * 1e-6};
    simulate_result r = simulate_run(&u, &steps);
    llm_serving s = {
        .asked = requests, .running = requests < most ? requests : most, .output = output, .ttft_s = r.ttft_s};
    s.tpot_s = output > 1 ? larger(r.tpot_s, steps.decode[0] / u.tokens) : steps.decode[0];
    s.request_s = s.ttft_s + (output - 1) * s.tpot_s;
    s.requests_per_s = requests / s.request_s;
    if (requests > memory && most == memory) s.waiting_share = 1 - memory / requests;
    s.prefill_share = r.prefill_share;
    return s;
}

llm_serving llm_serving_predict(const llm_case *c, const llm_serving_plan *p, double requests, const predict_gpu *g,
                                const predict_constants *pc, const predict_options *opt)
{
    llm_serving s = llm_serving_at(c, p, requests, g, pc, opt);
    int i = p->levels - 1;
    while (i > 0 && p->requests[i - 1] >= s.running) i--;
    s.decode = llm_predict_step(c, &p->decode[i], g, pc, opt);
    double prompts = llm_predict_step(c, &p->mixed[p->loads - 1], g, pc, opt).s.power_w;
    s.power_w = s.decode.s.power_w + s.prefill_share * (prompts - s.decode.s.power_w);
    return s;
}
