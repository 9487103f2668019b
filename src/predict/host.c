/* The host's clock: what it takes to issue a step's operations, or one by itself. */
#include "predict/host.h"

/* The host is not in any GPU's specification. Systems are bought together: a GPU of 2018 sits beside a CPU of its time. One thread of a CPU
 * hardly got faster in the years before 2017, and older GPUs live on beside newer CPUs. */
double predict_host_slowness(const gpu_spec *spec, const runtime_profile *rt, const predict_constants *pc)
{
    double half = rt->host_half_years > 0 ? rt->host_half_years : pc->host_half_years;
    double year = cost_silicon_year(spec);
    year = year < 2017 ? 2017 : year > 2026 ? 2026 : year;
    return exp(-0.6931471805599453 * (year - 2020) / half);
}

static bool divides(double part, double whole)
{
    double times = whole / part;
    return times < 1e15 && (double)(int64_t)times == times;
}

/* A product with scales for blocks issued from Python: by a Triton kernel before Hopper, from there on by what its library takes the shape
 * for (whole blocks of K, 64 columns: DeepGEMM, which the first Blackwell chips hand other scales; FlashInfer for few rows on Hopper). */
static double lone_block_us(const runtime_profile *rt, const kernel *k, double capability)
{
    const gemm_shape *s = &k->shape.gemm;
    bool whole = divides(64, s->n) && divides(128, s->k);
    if (capability < 9) return rt->lone_triton_us;
    if (!whole || capability >= 12) return rt->lone_cutlass_us;
    if (capability < 10) return s->m < 32 ? rt->lone_flashinfer_us : rt->lone_deepgemm_us;
    return rt->lone_deepgemm_us + rt->lone_repack_us + (divides(4, s->m) ? 0 : rt->lone_pad_us);
}

/* Time to issue a lone operator from a loop; 0: not known. Its launches overlap with the kernel of the turn before. */
static double lone_host_us(const kernel_plan *p, const gpu_spec *spec, double launches)
{
    const runtime_profile *rt = p->runtime;
    if (!p->lone || !p->n_kernels) return 0;
    const kernel *k = &p->kernels[p->n_kernels - 1].k;
    switch (k->kind) {
    case KERNEL_CONV:
    case KERNEL_DEPTHWISE: return rt->lone_conv_us + (launches - 1) * rt->lone_launch_us;
    case KERNEL_GEMM:
        if (k->choice == PRODUCT_BLOCK_SCALED) return lone_block_us(rt, k, spec->compute_capability);
        return k->weight_bytes > 0 ? rt->lone_gemm_us : rt->lone_bmm_us;
    case KERNEL_NORM: return rt->lone_norm_us;
    case KERNEL_SOFTMAX: return rt->lone_softmax_us;
    default: return k->read_bytes > 1.5 * k->write_bytes ? rt->lone_binary_us : rt->lone_unary_us;
    }
}

/* Of a convolution, all of which its kernels wait for: its library looks for what it chose for this shape among all that it knows. */
static double lone_wait_us(const kernel_plan *p)
{
    kernel_kind kind = p->kernels[p->n_kernels - 1].k.kind;
    return kind == KERNEL_CONV || kind == KERNEL_DEPTHWISE ? p->runtime->lone_conv_wait_us : 0;
}

static double weighed(const runtime_profile *rt, double n, const double *issued)
{
    const double us[ISSUE_CLASSES] = {rt->lone_conv_us, rt->lone_norm_us,    rt->lone_gemm_us,
                                      rt->lone_bmm_us,  rt->lone_softmax_us, rt->lone_unary_us};
    double mean = (rt->lone_conv_us + rt->lone_norm_us + rt->lone_unary_us) / 3;
    for (int i = 0; mean > 0 && i < ISSUE_CLASSES; i++) n += issued[i] * (us[i] / mean - 1);
    return n;
}

double predict_issued(const kernel_plan *p)
{
    return weighed(p->runtime, p->launches, p->issued);
}

double predict_issued_looped(const kernel_plan *p)
{
    return weighed(p->runtime, p->launches_looped, p->issued_looped);
}

double predict_issued_backward(const kernel_plan *p, const predict_constants *pc)
{
    return pc->host_backward * (p->launches_backward - p->launches_sums) + pc->host_sum * p->launches_sums;
}

double predict_issued_optimizer(const kernel_plan *p, const predict_constants *pc)
{
    return pc->host_optimizer * p->launches_optimizer;
}

host_clock predict_host(const kernel_plan *p, const predict_gpu *g, double launches, const predict_constants *pc,
                        const predict_options *opt)
{
    const runtime_profile *rt = p->runtime;
    host_clock h = {0, 0, 0};
    if (opt->fast_mode || opt->device_time) return h;
    double slow = predict_host_slowness(g->spec, rt, pc) * (g->spec->host_factor > 0 ? g->spec->host_factor : 1);
    double lone = lone_host_us(p, g->spec, launches);
    if (lone > 0) {
        double wait = 1e-6 * lone_wait_us(p);
        h.seconds = 1e-6 * lone;
        h.first = h.seconds * rt->lone_first + wait;
        h.seconds += wait;
    } else {
        h.seconds = 1e-6 * slow *
                    (rt->host_step_us +
                     rt->host_us *
                         (predict_issued(p) + predict_issued_backward(p, pc) + predict_issued_optimizer(p, pc)) +
                     rt->host_view_us * p->views);
        double mean = p->launches > 0 ? predict_issued(p) / p->launches : 1;
        h.first = 1e-6 * slow * rt->host_us * mean; /* the GPU waits for the first launch */
    }
    h.waited = 1e-6 * slow * rt->host_us * pc->host_few * p->waited;
    if (opt->measured) {
        h.seconds *= opt->measured->host;
        h.first *= opt->measured->host;
        h.waited *= opt->measured->host;
    }
    return h;
}
