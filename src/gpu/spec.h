/* What is known of one GPU, as plain numbers: what cost/ computes with. Pure: no I/O (gpu.h loads it from TOML).
 * All rates are dense (no sparsity) and with FP32 accumulation; 0 means "this GPU does not have the unit". */
#ifndef GPU_SPEC_H
#define GPU_SPEC_H

#include "base/str.h"

typedef enum precision {
    PREC_FP32, /* vector FP32, no tensor cores */
    PREC_TF32,
    PREC_FP16,
    PREC_BF16,
    PREC_FP8,
    PREC_INT8,
    PREC_FP4,
    PREC_INT4, /* weight-only unless the GPU has int4 tensor cores */
    PREC_COUNT
} precision;

typedef enum gpu_family { FAMILY_CNN, FAMILY_TRANSFORMER, FAMILY_RNN, FAMILY_COUNT } gpu_family;

enum { BATCH_CURVE = 8 }; /* batch 1, 2, 4, ... 128 */

/* [profiles.KEY.model_performance.*]: a user's own knowledge of how a family runs on this GPU; 1 or absent: no change. */
typedef struct gpu_performance {
    double batch_scaling_curve[BATCH_CURVE]; /* relative efficiency by batch; 0: not given */
    double memory_efficiency;                /* share of peak bandwidth; 0: not given */
    double tensor_core_utilization;          /* share of tensor peak; 0: not given */
    double architecture_multiplier;          /* speed factor; 0: not given */
    double interval;                         /* 80 %: held-out error of a calibration, as a ratio - 1; 0: not given */
} gpu_performance;

typedef struct gpu_spec {
    str key, name, vendor, architecture, memory_type, form;
    str note;                  /* what whoever reads a prediction should know of the board */
    double compute_capability; /* 8.9; 0 for other vendors */
    int release_year;

    double memory_gb; /* capacity in units of 1e9 bytes as sold except where the vendor means GiB: see memory_bytes */
    double memory_bytes;       /* what nvidia-smi shows as total */
    double bandwidth_gbs;      /* DRAM peak, 1e9 bytes/s */
    double tflops[PREC_COUNT]; /* dense peak at boost clock by precision, TFLOPS (TOPS for integers); 0: no such unit */
    double fp16_vector_tflops; /* non-tensor half rate; 0: unknown, as FP32 */

    int sms;
    int cuda_cores, tensor_cores, rt_cores;
    double l1_kb; /* L1 + shared memory per SM */
    double l2_mb;
    int memory_bus_bits, memory_channels;
    double base_mhz, boost_mhz;
    double tdp_w, idle_w;
    double nvlink_gbs; /* both directions together; 0: none */
    int pcie_gen;
    bool peer_access; /* boards read each other's memory across PCIe; else what they exchange goes through the host's */

    /* hardware_profiles.toml; 0 or empty: not given */
    double throttle_temp_c;
    double
        thermal_factor_sustained; /* share of the boost clock that a long heavy load keeps; used with --real-hardware */
    double cache_hit_ratio;       /* share of re-read bytes found in L2 */
    double coalescing_efficiency; /* share of DRAM peak that well-formed streams reach */
    double fp16_multiplier, int8_multiplier, int4_multiplier; /* peak relative to FP32, where no tensor peak is given */
    gpu_performance performance[FAMILY_COUNT];
    str calibrated_runtimes; /* "pytorch, tensorrt": under which the owner of this GPU measured; empty: not calibrated */
    double host_factor;      /* times as long as predicted that its host takes to issue; 0: not given */

    bool profiled; /* has an entry in hardware_profiles */
    bool derived;  /* something essential was derived from other fields; said once as a warning */
    bool
        guessed; /* ... of it the bandwidth or the peaks of tensor cores, by what boards of its generation usually have */
    bool overridden; /* a file of the user's changed or defined it: it is no longer the GPU that was calibrated on */
} gpu_spec;

#endif
