/* Recurrences with a matrix as state. A step of decode reads and writes the states. A prompt is worked off in chunks: by one kernel whose
 * thread blocks walk over the chunks of a head with the state on chip, or by several, which leave what is inside the chunks in memory and then
 * hand the states on from chunk to chunk. */
#include "cost/parts.h"

enum { CHUNK = 64, STATE = 128 * 128 };

static double chunks_of(double steps)
{
    double n = steps / CHUNK, whole = (double)(int64_t)cost_min(n, 1e15);
    return whole + (whole < n ? 1 : 0);
}

void cost_scan(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const scan_shape *s = &k->shape.scan;
    double size = s->dim * s->width / STATE, chunks = chunks_of(s->steps), heads = s->seqs * s->heads;
    double fixed = s->steps > 1 ? c->scan_us : c->scan_step_us;
    if (s->steps > 1 && k->fused) {
        double waves = heads / g->sms, whole = (double)(int64_t)cost_min(waves, 1e15);
        waves = cost_max(whole + (whole < waves ? 1 : 0), 1);
        out->compute_s = waves * ((g->persistent ? c->scan_wave_new_us : c->scan_wave_us) * 1e-6 +
                                  chunks * c->scan_fused_clocks * size * g->tick);
        fixed = c->scan_step_us;
    } else if (s->steps > 1) {
        double own = heads * s->steps, left = own * c->scan_token_bytes * (s->dim + s->width);
        out->compute_s = chunks * c->scan_chain_clocks * g->tick + own * c->scan_token_clocks * size * g->tick / g->sms;
        t.dram += left * (1 - cost_resident(g, left));
    }
    out->memory_s = cost_memory_time(g, t, g->stream);
    cost_finish(g, out, t);
    out->seconds += fixed * 1e-6;
}
