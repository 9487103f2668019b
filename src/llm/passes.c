/* Which steps a runtime makes of prompts and outputs. */
#include "llm/llm.h"

/* The two points at which a cubic's mean over [0, 1] is that of its values (Gauss-Legendre). */
static const double points[2] = {0.21132486540518713, 0.7886751345948129};

double llm_chunk(const llm_case *c)
{
    return c->r.runtime->chunk_tokens > 0 ? c->r.runtime->chunk_tokens : INFINITY;
}

/* A chunk holds whole prompts where several fit into it, else a part of one. */
llm_pass llm_prefill_pass(const llm_case *c, double seqs, double input)
{
    double chunk = llm_chunk(c);
    llm_pass p = {.groups = 1, .steps = 1};
    if (!(input >= 1)) input = 1;
    if (input > chunk) {
        double parts = ceil(input / chunk), each = input / parts;
        p.steps = seqs * parts;
        p.group[0] = (llm_group){1, each, {each + points[0] * (input - each), each + points[1] * (input - each)}};
        p.logits = 1 / parts;
        return p;
    }
    double together = floor(chunk / input);
    if (together > seqs) together = seqs;
    p.steps = ceil(seqs / together);
    together = seqs / p.steps;
    p.group[0] = (llm_group){together, input, {input, input}};
    p.logits = together;
    return p;
}

llm_pass llm_decode_pass(const llm_case *c, double seqs, double input, double output)
{
    (void)c;
    llm_pass p = {.groups = 1, .steps = output >= 1 ? output : 1, .logits = seqs};
    p.group[0] = (llm_group){seqs, 1, {input + points[0] * p.steps, input + points[1] * p.steps}};
    for (int i = 0; i < 2; i++)
        if (p.group[0].kv[i] < 1) p.group[0].kv[i] = 1;
    return p;
}
