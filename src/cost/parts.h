/* What the files of cost/ share; nothing outside cost/ includes this. */
#ifndef COST_PARTS_H
#define COST_PARTS_H

#include "cost/cost.h"

enum {
    COST_SPLITS = 32,        /* most parts of K in a matrix product */
    COST_WGRAD_SPLITS = 256, /* ... in the gradient of a convolution's weights */
    COST_CONV_TILES = 0xff,  /* convolutions on tensor cores have no tiles below 64 x 32 */
    COST_TENSOR_TILES = 10,
};

/* Bits of cost_matmul.tiles, in the order of the table in gemm.c: rows x columns of the result. */
enum {
    T_256x128 = 1,
    T_128x256 = 2,
    T_128x128 = 4,
    T_64x256 = 8,
    T_128x64 = 16,
    T_64x128 = 32,
    T_64x64 = 64,
    T_64x32 = 128,
    T_32x64 = 256,
    T_16x64 = 512,
    T_128x32 = 1024,
    T_32x128 = 2048,
    T_32x32 = 4096,
};

/* A kernel's traffic after the question what is still in L2. */
typedef struct cost_traffic {
    double total, dram; /* bytes */
} cost_traffic;

/* Dense 16-bit FLOP per clock and SM of full-rate synchronous tensor cores. What a kernel does beside its products was measured
 * there and takes as many clocks on slower units, not more. */
enum { COST_FULL_RATE = 2048 };

typedef struct cost_matmul {
    double m, n, k, batch;
    double depth;  /* elements of K that prologue and epilogue of a tile cost */
    double slow;   /* factor on the main loop's time */
    double setup;  /* seconds per wave */
    double splits; /* most parts of K */
    int tiles;     /* bits: which of the tiles this kind of kernel has */
    bool scaled;   /* FP8 with block scales */
    bool waves;    /* a last wave that is partly filled takes as long as a whole one */
    bool plain;    /* a library's product, whose tiles share SMs */
    bool fine;     /* n fills parts of tiles: its padding is already in n */
    const kernel
        *limited; /* under the power limit, which counts what tiles are padded with (vector units); NULL: without */
} cost_matmul;

typedef struct cost_matmul_time {
    double seconds;
    double split; /* parts of K that are summed up at the end; 1: none */
} cost_matmul_time;

/* Share of a reused set that survived `distance` bytes of traffic in L2. */
double cost_resident(const cost_gpu *g, double distance);
/* Copies of its weights that a benchmark's loop takes in turn. */
double cost_weight_copies(const cost_gpu *g, const kernel *k);
cost_traffic cost_traffic_of(const cost_gpu *g, const kernel *k);
/* Time for the traffic at `share` of the long-stream bandwidth, with the ramp of small streams. */
double cost_memory_time(const cost_gpu *g, cost_traffic t, double share);
/* Time that batch normalisation's thread blocks, one a channel, take at least. */
double cost_channels_time(const cost_gpu *g, const kernel *k, cost_traffic t);
/* Time of tiles * work on `k`'s unit with power limit: `seconds` at boost clock that hold `flops`. */
double cost_power_limited(const cost_gpu *g, const kernel *k, double seconds, double flops);
cost_matmul_time cost_matmul_best(const cost_gpu *g, precision p, const cost_matmul *w);
void cost_tiles_init(cost_gpu *g);
void cost_tile_sets(cost_gpu *g, double capability);
/* max + overlap * min, plus the launches' time; fills seconds and limit. */
void cost_finish(const cost_gpu *g, kernel_cost *out, cost_traffic t);

void cost_gemm(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_grouped(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_gemv(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
/* Convolutions and gradients of their weights as matrix products. */
cost_matmul cost_conv_direct(const cost_gpu *g, const conv_shape *s, int tiles);
cost_matmul cost_conv_wgrad(const cost_gpu *g, const conv_shape *s, int tiles);
void cost_conv_vector(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_conv(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_depthwise(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_attention(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_attention_apart(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_elementwise(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_rows(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_scan(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);
void cost_comm_init(cost_gpu *g, const gpu_spec *spec);
void cost_comm(const cost_gpu *g, const kernel *k, kernel_cost *out);
void cost_recurrent(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out);

static inline double cost_max(double a, double b)
{
    return a > b ? a : b;
}
static inline double cost_min(double a, double b)
{
    return a < b ? a : b;
}

#endif
