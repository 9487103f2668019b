/* Which steps a runtime makes of prompts and outputs. */
#include "llm/llm.h"

/* The two points at which a cubic's mean over [0, 1] is that of its values (Gauss-Legendre). */
static const double points[2] = {0.21132486540518713, 0.7886751345948129};

double llm_chunk(const llm_case *c)
{
    if (c->r.step_tokens > 0) return c->r.step_tokens;
    return c->r.runtime->chunk_tokens > 0 ? c->r.runtime->chunk_tokens : INFINITY;
}

double llm_step_tokens(const llm_case *c)
{
    double tokens = 1, chance = 1;
    for (int i = 0; i < c->r.guesses; i++) tokens += chance *= c->r.accepted;
    return tokens;
}

/* A chunk holds whole prompts where several fit into it, else a part of one. A last chunk that is not full counts as the share of one that
 * it is, so that a further prompt never takes less time. */
llm_pass llm_prefill_pass(const llm_case *c, double seqs, double input)
{
    double chunk = llm_chunk(c);
    llm_pass p = {.groups = 1, .steps = 1};
    if (!(input >= 1)) input = 1;
    if (input > chunk) {
        double parts = ceil(input / chunk), each = input / parts;
        p.steps = seqs * parts;
        p.group[0] = (llm_group){1, each, {each + points[0] * (input - each), each + points[1] * (input - each)}, 0};
        p.logits = 1 / parts;
        return p;
    }
    double together = floor(chunk / input);
    if (together > seqs) together = seqs;
    p.steps = seqs / together;
    p.group[0] = (llm_group){together, input, {input, input}, 0};
    p.logits = together;
    return p;
}

llm_pass llm_decode_pass(const llm_case *c, double seqs, double input, double output)
{
    double tokens = output >= 1 ? output : 1;
    llm_pass p = {.groups = 1, .steps = tokens / llm_step_tokens(c), .logits = seqs * (1 + c->r.guesses)};
    if (p.steps < 1) p.steps = 1;
    p.group[0] = (llm_group){seqs, 1, {input + points[0] * tokens, input + points[1] * tokens}, c->r.guesses};
    for (int i = 0; i < 2; i++)
        if (p.group[0].kv[i] < 1) p.group[0].kv[i] = 1;
    return p;
}
