/* Power of a step and the clock that it leaves, from one sum of energies: idle power, what a chip at work draws whatever it does, each
 * operation, each byte across the chip and each byte of DRAM (docs/cost-model.md). The same energy per operation lowers the clock
 * within a kernel (cost/); here it is held against what the board can keep up, for a step as a whole. */
#include "predict/predict.h"

/* Air that boards are built for, and the temperature up to which they keep their power without a word from their profile. */
enum { AMBIENT_C = 30, DESIGN_C = 90, HALVINGS = 40 };

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

/* What a chip at work draws above idle whatever its kernels do: with idle power no less than what a kernel's own power limit (cost/)
 * leaves to all but arithmetic, so that a kernel at that limit is a board at TDP. */
static double busy_watts(const predict_gpu *g, const predict_constants *pc)
{
    double idle = board_idle(g->spec, pc), share = pc->busy_power_share * (board_tdp(g->spec) - idle);
    double rest = cost_static_watts(board_tdp(g->spec), g->cost.c) - idle;
    return share > rest ? share : rest;
}

/* Watts that a cooler takes away for ever: the temperature above the air's goes with the power. */
static double sustained_power(const gpu_spec *spec)
{
    double tdp = board_tdp(spec), t = spec->throttle_temp_c;
    if (t <= 0 || t >= DESIGN_C) return tdp;
    return tdp * within((t - AMBIENT_C) / (DESIGN_C - AMBIENT_C), 0.1, 1);
}

void power_add(step_energy *e, const kernel_cost *c, double count)
{
    double core = c->compute_s < c->seconds ? c->compute_s : c->seconds;
    e->core_j += count * c->core_j;
    e->memory_j += count * c->memory_j;
    e->core_s += count * core;
    e->gpu_s += count * c->seconds;
}

/* What an operation takes at a share f of the boost clock, relative to that at boost: the voltage falls with the clock. Power goes with
 * f^(1 / droop) there (cost/), so energy with what is left of that after a factor f for the rate. */
static double energy_share(const predict_gpu *g, double f)
{
    return f < 1 ? pow(f, 1 / g->cost.c->power_droop - 1) : 1;
}

double power_of_step(const step_energy *e, const predict_gpu *g, const predict_constants *pc, double seconds)
{
    double tdp = board_tdp(g->spec), idle = board_idle(g->spec, pc);
    if (!(seconds > 0)) return idle;
    double busy = within(e->gpu_s / seconds, 0, 1) * busy_watts(g, pc) * energy_share(g, g->clock_share);
    return within(idle + busy + (e->core_j * energy_share(g, g->clock_share) + e->memory_j) / seconds, idle, tdp);
}

/* The clock's share of boost at which the step's kernels, one after the other, draw so many watts. What runs at the clock takes longer,
 * DRAM keeps its own time and energy. More clock is more power, so halving finds it. */
static double power_share(const step_energy *e, const predict_gpu *g, const predict_constants *pc, double watts)
{
    double idle = board_idle(g->spec, pc), budget = watts - idle, low = 0.1, high = 1;
    double busy = e->gpu_s * busy_watts(g, pc), rest = e->gpu_s - e->core_s;
    if (e->core_j + busy + e->memory_j <= budget * e->gpu_s) return 1;
    for (int i = 0; i < HALVINGS; i++) {
        double f = 0.5 * (low + high), joules = (e->core_j + busy) * energy_share(g, f) + e->memory_j;
        if (joules <= budget * (e->core_s / f + rest)) low = f;
        else high = f;
    }
    return low;
}

/* The clock's share under which a step runs: as much as the power limit leaves and, with --real-hardware, the cooler and a factor of the
 * profile's own; no less than the base clock, which the vendor guarantees. One operator by itself has its limit in its cost already. */
double power_clock(const step_energy *e, const predict_gpu *g, const kernel_plan *p, const predict_constants *pc,
                   const predict_options *opt)
{
    const gpu_spec *spec = g->spec;
    double least = 0.1, watts = opt->real_hardware ? sustained_power(spec) : board_tdp(spec);
    if (opt->fast_mode || (p->lone && !opt->real_hardware)) return 1;
    double share = power_share(e, g, pc, watts);
    if (opt->real_hardware && spec->thermal_factor_sustained > 0 && spec->thermal_factor_sustained < share)
        share = spec->thermal_factor_sustained;
    if (spec->base_mhz > 0 && spec->boost_mhz > 0) least = within(spec->base_mhz / spec->boost_mhz, 0.1, 1);
    return within(share, least, 1);
}

void power_sustain(predict_gpu *g, const kernel_plan *p, const predict_constants *pc, const predict_options *opt)
{
    step_energy e = {0, 0, 0, 0};
    predict_options plain = *opt;
    plain.measured = NULL;
    for (uint32_t i = 0; i < p->n_kernels; i++) {
        kernel_cost c = predict_kernel(p, i, g, &plain);
        power_add(&e, &c, p->kernels[i].count);
    }
    g->clock_share = power_clock(&e, g, p, pc, opt);
}
