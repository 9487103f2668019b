#include "llm/simulate.h"

typedef struct waiting {
    double sent, there, left; /* seconds; tokens of the prompt that no step has taken yet */
    double output;
} waiting;

typedef struct running {
    double last; /* number of the step that makes its last token */
    double first_s, output;
} running;

typedef struct engine {
    const simulate_setup *u;
    const simulate_steps *t;
    double weight; /* requests that one stands for */
    int at_a_time, slots, total;
    waiting queue[SIMULATE_REQUESTS]; /* a ring */
    int head, queued;
    running heap[SIMULATE_REQUESTS]; /* the one that ends first is at 0 */
    int decoding;
    double now, step;
    double tokens, rows;    /* of a step for each request */
    double poll, next_poll; /* the step before which it looks for requests; those that were there by `seen` take part */
    double seen;
    double waited; /* steps that prompts have been kept waiting for others */
    bool waits;
    int sent, done;
    double ttft, tpot, prompts_s;
    int timed; /* requests with more than one token */
} engine;

static double line(const double *x, const double *y, int n, double x0, double y0, double at)
{
    int i = 0;
    while (i + 1 < n && x[i] < at) i++;
    double left = i ? x[i - 1] : x0, low = i ? y[i - 1] : y0;
    return x[i] > left ? low + (at - left) / (x[i] - left) * (y[i] - low) : y[i];
}

static double decode_seconds(const engine *e, double requests)
{
    const simulate_steps *t = e->t;
    if (t->levels == 1 || requests <= t->requests[0]) return t->decode[0];
    return line(t->requests, t->decode, t->levels, 0, t->decode[0], requests);
}

static double step_seconds(const engine *e, double requests, double tokens)
{
    const simulate_steps *t = e->t;
    if (tokens <= 0) return decode_seconds(e, requests);
    double seconds = requests <= 0 ? line(t->tokens, t->alone, t->loads, 0, t->decode[0], tokens)
                                   : decode_seconds(e, requests) + line(t->tokens, t->added, t->loads, 0, 0, tokens);
    return seconds > t->least ? seconds : t->least;
}

/* ---- running requests by their last step ---- */

static void heap_add(engine *e, running r)
{
    int i = e->decoding++;
    for (; i > 0 && e->heap[(i - 1) / 2].last > r.last; i = (i - 1) / 2) e->heap[i] = e->heap[(i - 1) / 2];
    e->heap[i] = r;
}

static running heap_take(engine *e)
{
    running top = e->heap[0], r = e->heap[--e->decoding];
    int i = 0;
    for (int child = 1; child < e->decoding; child = 2 * i + 1) {
        if (child + 1 < e->decoding && e->heap[child + 1].last < e->heap[child].last) child++;
        if (e->heap[child].last >= r.last) break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    e->heap[i] = r;
    return top;
}

/* ---- requests come and go ---- */

/* Between 1 - spread and 1 + spread, evenly: no two that follow each other are alike. */
static double drawn(int request, double ratio, double spread)
{
    double turn = request * ratio;
    return 1 + spread * (2 * (turn - floor(turn)) - 1);
}

/* Lengths go by the golden ratio, and by the plastic one, so that long prompts have short outputs as often as long ones. */
static void send(engine *e)
{
    const simulate_setup *u = e->u;
    double output = floor(u->output * drawn(e->sent, 0.6180339887498949, u->spread) + 0.5);
    double input = u->input * drawn(e->sent, 0.7548776662466927, u->prompt_spread);
    waiting *w = &e->queue[(e->head + e->queued++) % SIMULATE_REQUESTS];
    *w = (waiting){e->now, e->now + u->delay + input * u->token_delay, input * e->weight, output < 1 ? 1 : output};
    e->sent++;
}

static void finish(engine *e)
{
    while (e->decoding && e->heap[0].last <= e->step) {
        running r = heap_take(e);
        if (r.output > 1) {
            e->tpot += (e->now - r.first_s) / (r.output - 1);
            e->timed++;
        }
        e->done++;
        if (e->sent < e->total) send(e);
    }
}

/* After prompts it looks at once, between steps that decode only so often. */
static void look(engine *e)
{
    if (e->decoding && e->step < e->next_poll) return;
    e->seen = e->now;
    e->next_poll = e->step + e->poll;
}

/* Whether prompts that are there are kept for a fuller step. */
static bool prompts_wait(engine *e)
{
    const simulate_setup *u = e->u;
    if (u->wait_steps <= 0 || !e->decoding) return false;
    double tokens = e->decoding * e->weight * e->rows, enough = u->wait_share * u->budget;
    int there = 0;
    while (tokens < enough && there < e->queued && e->decoding + there < e->slots) {
        const waiting *w = &e->queue[(e->head + there) % SIMULATE_REQUESTS];
        if (w->there > e->seen) break;
        tokens += w->left;
        there++;
    }
    if (there && tokens < enough && e->waited < u->wait_steps) return true;
    if (there) e->waited = 0;
    return false;
}

/* Tokens of prompts that the next step takes; *ready: prompts that end in it. */
static double take_prompts(engine *e, int *ready)
{
    const simulate_setup *u = e->u;
    double decoding = u->apart ? 0 : e->decoding * e->weight * e->rows, taken = 0;
    double room = u->budget - decoding > u->budget / 8 ? u->budget - decoding : u->budget / 8;
    *ready = 0;
    e->waits = prompts_wait(e);
    if (e->waits) return 0;
    while (*ready < e->queued && e->decoding + *ready < e->slots) {
        waiting *w = &e->queue[(e->head + *ready) % SIMULATE_REQUESTS];
        double part = w->left;
        if (w->there > e->seen) break;
        if (part > room && u->whole && part <= u->budget && taken > 0) break;
        if (part > room && !(u->whole && part <= u->budget)) part = room;
        taken += part;
        room -= part;
        w->left -= part;
        if (w->left > 0) break;
        ++*ready;
        if (room <= 0) break;
    }
    return taken;
}

static void run_prompts(engine *e, double tokens, int ready)
{
    const simulate_setup *u = e->u;
    double decoding = u->apart ? 0 : e->decoding * e->weight;
    double seconds = step_seconds(e, decoding, tokens) + ready * e->weight * u->join;
    e->now += seconds;
    e->prompts_s += seconds - (decoding > 0 ? decode_seconds(e, decoding) : 0);
    if (!u->apart) e->step++;
    e->next_poll = e->step;
    for (int i = 0; i < ready; i++) {
        waiting w = e->queue[e->head];
        e->head = (e->head + 1) % SIMULATE_REQUESTS;
        e->queued--;
        e->ttft += e->now - w.sent;
        heap_add(e, (running){e->step + ceil((w.output - 1) / e->tokens), e->now, w.output});
    }
}

/* The next request that comes in; NULL if none is on its way, or there is no place for it. */
static const waiting *next_to_come(const engine *e)
{
    int i = 0;
    while (e->waits && i < e->queued && e->queue[(e->head + i) % SIMULATE_REQUESTS].there <= e->seen) i++;
    return i < e->queued && e->decoding + i < e->slots ? &e->queue[(e->head + i) % SIMULATE_REQUESTS] : NULL;
}

/* Steps until somebody ends, the next prompt is there, or those that wait have waited enough. */
static void run_decode(engine *e)
{
    double each = decode_seconds(e, e->decoding * e->weight), steps = e->heap[0].last - e->step;
    const waiting *next = each > 0 ? next_to_come(e) : NULL;
    if (next) {
        double until = ceil((next->there - e->now) / each), first = e->next_poll - e->step;
        if (until > first) first += e->poll * ceil((until - first) / e->poll);
        if (first < steps) steps = first;
    }
    if (e->waits && e->u->wait_steps - e->waited < steps) steps = e->u->wait_steps - e->waited;
    if (steps < 1) steps = 1;
    if (e->waits) e->waited += steps;
    e->step += steps;
    if (e->step > e->next_poll) e->next_poll += e->poll * ceil((e->step - e->next_poll) / e->poll);
    e->now += steps * each;
}

simulate_result simulate_run(const simulate_setup *setup, const simulate_steps *steps)
{
    engine e = {.u = setup, .t = steps};
    e.tokens = setup->tokens > 1 ? setup->tokens : 1;
    e.rows = setup->rows > 1 ? setup->rows : 1;
    e.poll = setup->poll > 1 ? floor(setup->poll) : 1;
    double requests = setup->requests > 1 ? floor(setup->requests) : 1;
    e.weight = requests > SIMULATE_REQUESTS ? requests / SIMULATE_REQUESTS : 1;
    e.at_a_time = (int)(requests / e.weight);
    double slots = setup->slots / e.weight;
    e.slots = slots >= e.at_a_time ? e.at_a_time : slots > 1 ? (int)slots : 1;
    double total = setup->prompts / e.weight;
    e.total = total > e.at_a_time ? (int)total : e.at_a_time;
    simulate_result out = {.events = 0};
    for (int i = 0; i < e.at_a_time; i++) send(&e);
    while (e.done < e.total) {
        int ready;
        out.events++;
        if (!e.decoding && e.queued && e.queue[e.head].there > e.now) e.now = e.queue[e.head].there;
        look(&e);
        double tokens = take_prompts(&e, &ready);
        if (tokens > 0) run_prompts(&e, tokens, ready);
        else run_decode(&e);
        finish(&e);
    }
    out.ttft_s = e.ttft / e.done;
    out.tpot_s = e.timed ? e.tpot / e.timed : 0;
    out.prefill_share = e.now > 0 ? e.prompts_s / e.now : 0;
    return out;
}
