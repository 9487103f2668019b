/* What one kernel costs on one GPU: pure functions of (kernel, GPU, constants).
 *
 *   seconds = launches * floor + longer + overlap * shorter^2 / longer
 *
 * of two times: compute and memory.
 * compute: best choice of tile and split-K: waves of tiles over the SMs, each at the unit's peak as far as tile size
 *          and K depth reach it, and no faster than the board's power allows.
 * memory:  bytes from DRAM and from L2, each over its own bandwidth, with a ramp for small sizes.
 * Every constant is in cost_constants, with its unit; docs/cost-model.md says where each was fitted. */
#ifndef COST_COST_H
#define COST_COST_H

#include "cost/constants.h"
#include "cost/kernel.h"

enum { COST_TILES = 13, COST_SCALED = PREC_COUNT /* row of the tile tables: FP8 with block scales */ };

/* How GPUs of this kind are joined in the systems that they are sold in. */
typedef struct cost_links {
    double nvlink, pcie, network; /* bytes/s in one direction; nvlink 0: none */
    double domain;                /* GPUs that NVLink joins, all to all */
    double tick;                  /* seconds of a clock cycle, more where messages cross dies */
    bool in_switch;               /* the switch adds up and multicasts */
    bool direct;                  /* cards with NVLink bridges, which are as near across PCIe */
    bool peers;                   /* cards reach each other's memory across PCIe */
} cost_links;

/* Derived once per (GPU, constants) so that a kernel's cost needs no division by specification fields. Keeps a pointer
 * to the constants, which must outlive it. No field is for callers. */
typedef struct cost_gpu {
    const cost_constants *c;
    double sms, clock, tick; /* clock in Hz, its inverse in seconds */
    double boost;            /* clock and peaks below, over the advertised ones */
    double floor;            /* seconds of the smallest kernel */
    bool pieces;             /* FP32 products read weights that lie along K in pieces of 32 bytes (Pascal) */
    bool async;              /* matrix units that read shared memory by themselves, fed by asynchronous bulk copies */
    bool conv_pairs;         /* fused convolutions of small images take two at once */
    double conv_share;       /* speed of FP32 convolution kernels relative to those before Ampere */
    double conv_filter;      /* traffic of the weights' transform relative to older ones' */
    double depth;            /* elements of K that prologue and epilogue of a product's tile cost on vector units */
    bool wide;               /* L2 of two halves, each next to half of the SMs */
    bool persistent;         /* ... with attention kernels whose thread blocks stay for many tiles */
    double quantum;          /* share of a partly filled last wave that is felt */
    double dram, dram_peak;  /* bytes/s: sustained by long streams, by specification */
    double stream;           /* what kernels that only pass over data reach of `dram` */
    double l1_miss;          /* share of a window's repeated reads that L1 does not find */
    double l2, l2_keep, l2_lose;   /* bytes/s; working sets in bytes between which residency falls from 1 to 0 */
    double l2_bytes;               /* its size */
    double peak[PREC_COUNT];       /* FLOP/s of the unit that does this precision here, after fallbacks */
    double headroom[PREC_COUNT];   /* utilisation of `peak` from which on the power limit lowers the clock */
    double joule[PREC_COUNT];      /* energy of an operation at boost clock */
    double chip_joule, dram_joule; /* of a byte that crosses the chip, that DRAM reads or writes */
    double edge[PREC_COUNT + 1][COST_TILES]; /* the same for what comes before and after the loop over K */
    double tile[PREC_COUNT + 1][COST_TILES]; /* seconds per element of K for one tile on one SM */
    int tiles_tensor, tiles_vector, tiles_batched,
        tiles_staged;         /* bits: tiles that libraries have here: products, Winograd in stages */
    bool tensor[PREC_COUNT];  /* `peak` is a matrix unit's */
    uint8_t unit[PREC_COUNT]; /* the precision whose unit does the arithmetic: another where the GPU lacks it */
    cost_links links;
} cost_gpu;

/* Fills `g`. Fields that a specification leaves empty (0) fall back to other fields; see docs/cost-model.md. */
void cost_gpu_init(cost_gpu *g, const gpu_spec *spec, const cost_constants *c);
/* Share of the DRAM peak that long streams reach, before what ECC takes: the specification's own, or its memory type's. */
double cost_dram_share(const gpu_spec *spec, const cost_constants *c);

kernel_cost cost_kernel(const cost_gpu *g, const kernel *k);

/* Seconds of one collective operation; 0 among one GPU. */
double cost_comm_seconds(const cost_gpu *g, const comm_shape *s);
/* How much of a link's rate so many GPUs of one node take from each other: 1 where they have links of their own. How far they do so
 * depends on the server, and is known of one. */
double cost_comm_crowd(const cost_gpu *g, double gpus);
/* From that of a server whose boards reach each other to that of one whose boards don't: nothing tells which it is. */
double cost_comm_doubt(const cost_gpu *g, double gpus);

/* The year in which the GPU's kind of chip came out, by its compute capability; else the board's release. */
double cost_silicon_year(const gpu_spec *spec);

/* Watts of a board at work that are not arithmetic; a module of few watts has less of them than a card has. */
double cost_static_watts(double tdp, const cost_constants *c);

/* Share of the boost clock that a load with this utilisation of its unit keeps under the power limit, in (0, 1]. */
double cost_clock_share(const cost_gpu *g, precision p, double utilisation);

#endif
