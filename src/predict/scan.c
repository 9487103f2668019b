#include "predict/scan.h"

#include "base/libc.h"

enum { STATE_BYTES = 4 };

/* All of it was just written; a kernel's bytes are compared as they are. */
static kernel made(kernel_kind kind, double read, double written)
{
    kernel k;
    memset(&k, 0, sizeof k);
    k.kind = kind;
    k.math = PREC_FP32;
    k.read_bytes = k.hot_bytes = read;
    k.write_bytes = written;
    k.hot_distance = k.write_distance = read + written;
    return k;
}

kernel scan_kernel(double seqs, double steps, double heads, double dim, double width, double act)
{
    double t = seqs * steps, state = seqs * heads * dim * width * STATE_BYTES;
    kernel k = made(KERNEL_SCAN, t * heads * (2 * dim + width) * act, t * heads * width * act);
    /* the states are from the step before */
    k.read_bytes += state;
    k.write_bytes += state;
    k.write_distance = 0;
    k.flops = 6 * t * heads * dim * width;
    k.shape.scan.seqs = seqs;
    k.shape.scan.steps = steps;
    k.shape.scan.heads = heads;
    k.shape.scan.dim = dim;
    k.shape.scan.width = width;
    return k;
}

kernel scan_convolution(double seqs, double steps, double channels, double taps, double act)
{
    double n = seqs * steps * channels, kept = seqs * channels * taps * act;
    kernel k = made(KERNEL_ELEMENTWISE, n * act, n * act);
    k.read_bytes += kept;
    k.write_bytes += kept;
    k.flops = n * (2 * taps + 6);
    k.scattered = true;
    k.shape.rows.rows = n;
    k.shape.rows.cols = 1;
    return k;
}
