/* Power of a step and the clock that it leaves, from one sum of energies: idle power, what a chip at work draws whatever it does, each
 * operation, each byte across the chip and each byte of DRAM (docs/cost-model.md). The same energy per operation lowers the clock
 * within a kernel (cost/); here it is held against what the board can keep up, for a step as a whole. */
#include "predict/predict.h"

/* Air that boards are built for, and the temperature up to which they keep their power without a word from their profile. */
enum { AMBIENT_C = 30, DESIGN_C = 90 };

static double within(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static double board_tdp(const gpu_spec *spec)
{
    return spec->tdp_w > 0 ? spec->tdp_w : 250;
}

static double board_idle(const gpu_spec *spec, const predict_constants *pc)
{
    double tdp = board_tdp(spec);
    return within(spec->idle_w > 0 ? spec->idle_w : pc->idle_power_share * tdp, 0, tdp);
}

/* Watts that a cooler takes away for ever: the temperature above the air's goes with the power. */
static double sustained_power(const gpu_spec *spec)
{
    double tdp = board_tdp(spec), t = spec->throttle_temp_c;
    if (t <= 0 || t >= DESIGN_C) return tdp;
    return tdp * within((t - AMBIENT_C) / (DESIGN_C - AMBIENT_C), 0.1, 1);
}

void power_add(step_energy *e, const predict_gpu *g, const kernel_cost *c, double count)
{
    double core = c->compute_s < c->seconds ? c->compute_s : c->seconds;
    (void)g;
    e->core_j += count * c->core_j;
    e->memory_j += count * c->memory_j;
    e->core_s += count * core;
    e->gpu_s += count * c->seconds;
}

double power_of_step(const step_energy *e, const predict_gpu *g, const predict_constants *pc, double seconds)
{
    double tdp = board_tdp(g->spec), idle = board_idle(g->spec, pc);
    if (!(seconds > 0)) return idle;
    double busy = within(e->gpu_s / seconds, 0, 1) * pc->busy_power_share * (tdp - idle) * g->clock_share;
    return within(idle + busy + (e->core_j * g->clock_share + e->memory_j) / seconds, idle, tdp);
}

/* The clock's share of boost at which the step draws what the board can keep up, for ever. An operation's energy goes with the clock
 * (the voltage falls with it), what runs at the clock takes longer, DRAM keeps its own:
 *   idle + (core f + memory) / (core_s / f + rest_s) = power, solved for f. */
static double power_share(const step_energy *e, const predict_gpu *g, const predict_constants *pc, double seconds)
{
    double idle = board_idle(g->spec, pc), budget = sustained_power(g->spec) - idle;
    double core = e->core_j + e->gpu_s * pc->busy_power_share * (board_tdp(g->spec) - idle);
    double rest = seconds > e->core_s ? seconds - e->core_s : 0;
    if (core <= 0 || core + e->memory_j <= budget * (e->core_s + rest)) return 1;
    if (budget <= 0) return 0.1;
    double b = e->memory_j - budget * rest;
    return within((sqrt(b * b + 4 * core * budget * e->core_s) - b) / (2 * core), 0.1, 1);
}

/* --real-hardware. A profile's own factor is a limit of its own; the base clock is what the vendor guarantees. */
void power_sustain(predict_gpu *g, const kernel_plan *p, const predict_constants *pc, const predict_options *opt)
{
    const gpu_spec *spec = g->spec;
    step_energy e = {0, 0, 0, 0};
    if (!opt->real_hardware || opt->fast_mode) return;
    for (uint32_t i = 0; i < p->n_kernels; i++) {
        kernel_cost c = predict_kernel(p, i, g, opt);
        power_add(&e, g, &c, p->kernels[i].count);
    }
    double share = power_share(&e, g, pc, e.gpu_s), least = 0.1;
    if (spec->thermal_factor_sustained > 0 && spec->thermal_factor_sustained < share)
        share = within(spec->thermal_factor_sustained, 0.1, 1);
    if (spec->base_mhz > 0 && spec->boost_mhz > 0) least = within(spec->base_mhz / spec->boost_mhz, 0.1, 1);
    g->clock_share = share > least ? share : least;
}
