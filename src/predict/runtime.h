/* What a runtime does to a model before and while it runs: data/runtimes.toml, one entry a runtime. */
#ifndef PREDICT_RUNTIME_H
#define PREDICT_RUNTIME_H

#include "base/str.h"

/* A GPU's own level under a runtime, where it was measured: what its units and its memory reach, relative to what the pooled
 * constants say. */
typedef struct gpu_level {
    str runtime, gpu; /* keys */
    double compute, memory;
} gpu_level;

typedef struct runtime_profile {
    str key;            /* "pytorch" */
    str name;           /* "PyTorch (eager)" */
    const str *aliases; /* other keys that people type */
    uint32_t n_aliases;
    str note;
    str vendor;              /* whose GPUs it is for; empty: all */
    double capability_least; /* compute capability that it wants of them; 0: any */

    /* what it fuses and leaves out */
    bool fold_constants;       /* what depends on weights only is computed once, at load time */
    bool fold_batch_norm;      /* batch normalisation goes into the convolution's weights */
    bool fuse_epilogue;        /* bias, activation and residual sum run inside the convolution or matrix product */
    bool fuse_activation;      /* ... activations and biases only */
    bool fuse_pointwise;       /* chains of pointwise operations are one kernel */
    bool bare_products;        /* products run no activation, and those of batches add no bias */
    bool product_bias_kernel;  /* a product's bias is a kernel of its own */
    bool fuse_norm;            /* ... with normalisations, softmax and reductions in them */
    bool strided_views;        /* transposes, slices and expansions are views; what needs contiguous data copies */
    bool conv_bias_kernel;     /* a convolution's bias is a kernel of its own */
    bool conv_tf32, gemm_tf32; /* fp32 convolutions, matrix products use TF32 units by default */
    bool channels_last;        /* keeps images channels-last whatever the file says */
    bool quantized_io;         /* int8: activations stay int8 between layers */
    bool spelled_attention;    /* attention is fused only where the file has an operator for it */
    bool spelled_suppression;  /* boxes are suppressed by calls from the host, image by image */
    bool skip_quantize;        /* quantise/dequantise pairs vanish into the layers around them */

    bool paged_cache;         /* attention over a prompt also fills the paged cache of keys and values */
    bool pack_queries;        /* ... and copies the queries */
    bool flash_attention;     /* kernels of FlashAttention: version 2 before Hopper */
    bool prompt_kernel;       /* prompts of one position too run the kernel for prompts */
    double shared_heads_most; /* heads that share keys in one decode kernel; more run one by one. 0: all */
    bool single_head_kernel;  /* a decode kernel of its own where no heads share keys */
    double quantize_kernels;  /* kernels that turn a product's input into FP8 */
    double quantize_bytes;    /* ... and what they move for each of its elements */
    bool quantize_rows;       /* ... with a thread block for each row */
    bool split_fp8;           /* FP8 products may split the sum over K */
    bool fp8_by_rows;         /* ... and have their tile from the rows of A alone */

    double own_allreduce; /* comm_own: small all-reduces by kernels of its own */
    /* versions from which on it does things otherwise, as major * 1000 + minor; 0: it always did */
    double fused_attention_since; /* attention is one kernel, given four dimensions; before: products and a softmax */
    double late_attention_since;  /* the same in models whose library took to the fused call later */
    double
        second_attention_since; /* fused attention is FlashAttention's second version; before: its first; 0: neither is known */
    bool sync_attention;         /* ... written for Ampere, whatever chip it runs on */
    double wide_attention_since; /* attention that can't be one kernel runs in fp32 whatever comes in */
    double wide_resize_since;    /* under autocast, resizing runs in fp32 whatever comes in; 0: it never does */
    double fused_gelu_since;     /* GELU is one kernel; before: the five operators that exporters write */
    double linear_bias_since;    /* linear layers of inputs with three dimensions add their bias inside the product */

    /* the host */
    double host_us;         /* to issue one operation that launches a kernel */
    double host_view_us;    /* ... one that only makes a view */
    double gap_us;          /* from one kernel to the next on the GPU, in steps whose launches the host has ready */
    double host_step_us;    /* once a step: Python entry, synchronisation */
    double host_half_years; /* CPUs halve these in so many years; 0: as [predict] has it */

    /* An operator by itself, over and over (op: models): microseconds to issue it; 0: as in a model. Such loops were timed from
     * Python, on hosts of all ages. */
    double lone_unary_us, lone_binary_us, lone_softmax_us, lone_norm_us, lone_gemm_us, lone_bmm_us, lone_conv_us;
    double lone_launch_us;    /* more for each further kernel that it launches */
    double lone_conv_wait_us; /* more before a convolution's kernels, in processes that have run thousands of shapes */
    /* Products with scales for blocks, by the kernel that the library takes; the last two are more for DeepGEMM's on Blackwell: always, and
     * where rows don't come in fours. */
    double lone_triton_us, lone_cutlass_us, lone_flashinfer_us, lone_deepgemm_us, lone_repack_us, lone_pad_us;
    double lone_first;  /* share of that time after which the kernel starts */
    double lone_copies; /* copies of its weights that such loops use in turn; 0: one */
    bool lone_fill;     /* ... but no more than fill L2 */
    double lone_turns;  /* of such loops; 0: many */
    bool lone_quiet;    /* their weights of 16 and of 8 bits without block scales are memory as allocated: zeros */

    /* memory, MB of 1e6 bytes */
    double framework_mb;    /* libraries loaded on the GPU beside the CUDA context */
    double workspace_mb;    /* convolution and matrix-product workspaces */
    double allocator_round; /* factor on activations: rounding and fragmentation */

    /* language models (src/llm) */
    bool ggml;        /* llama.cpp's own graph: activations in fp32, products of packed weights, attention in parts */
    bool fuse_layers; /* sums over GPUs with the normalisation behind them, rotary positions with the cache */
    bool half_sums;   /* 16-bit products are added up in 16 bits, which GeForce boards do at twice the rate */
    double chunk_tokens;  /* that one step takes of prompts; 0: all */
    double gemv_rows;     /* products of so many rows and fewer read packed weights once ... */
    double gemv_bytes;    /* ... at so many bytes a clock and SM at most ... */
    double gemv_share;    /* ... and so much of the long-stream bandwidth */
    double memory_share;  /* of the GPU's memory that it takes for itself; 0: all */
    bool share_of_rest;   /* ... of what the weights leave */
    double reserve_share; /* of a request's output, for which the cache must have room when the request is taken in */
    bool narrow_cache;    /* keys and values in 8 bits where the weights are in 8 or fewer ... */
    double narrow_since;  /* ... on GPUs of this compute capability and later; 0: on all */
    bool int8_ready;      /* whatever makes the input of an INT8 product writes it in INT8 */
    double int8_us;       /* more for a product in INT8 by itself: launched one by one where it was measured */
    double int8_k_clocks; /* products in INT8: at least for each element of K ... */
    double int8_vectors;  /* ... of more rows than this; up to it they have a kernel that splits K */
    double fp4_us;        /* more for each product in FP4 */
    double fp4_k_clocks;  /* ... at least for each element of K */
    /* mixtures of experts: products of each expert's own rows. Newer kernels, fed by asynchronous copies, from this compute
     * capability on (data-centre chips); older ones go over other GPUs' experts as well where `moe_all_pairs` says so. */
    double moe_since;
    bool moe_all_pairs;
    double moe_share, moe_new_share; /* how fast their tiles are against those of plain products; 0: as fast */
    double moe_us, moe_new_us;       /* the small kernels that sort tokens by expert */
    double moe_fp4_us;  /* ... of FP4, where that has kernels of its own among the newer ones; 0: it has not */
    double moe_uneven;  /* deviation of the logarithm of how often tokens choose experts, where nothing else is said */
    double moe_tile_us; /* newer kernels: what a round of tiles takes more to find its experts */
    double
        fused_scan_since; /* recurrences over a prompt in one kernel from this compute capability on (data-centre chips); 0: never */
    /* One host thread issues all stages of a pipeline: it waits where so many kernels wait on a GPU (0: each stage has its own host), and
     * until a stage has left behind the chunk of a prompt that is so many before the next. */
    double launch_queue, stages_ahead;
    double llm_step_us;    /* host and scheduler between two steps, whatever the GPU does */
    double llm_request_us; /* more for each sequence of a step */
    double prompt_speed;   /* of what prompts add to a step in serving, relative to the kernels' own; 0: the same */
    double llm_mixed_us;   /* more for a step with prompts, whose kernels are launched one by one */
    double llm_join_us;    /* more for each prompt that ends in a step: its tables, its place among the others */
    double llm_token_us;   /* later for each token of its prompt: text becomes tokens, tokens become blocks */
    double llm_prompt_us;  /* once a prompt: tokens, queue, first answer */
    double llm_experts_us; /* ... and for a model with layers of experts */
    double
        llm_layer_us; /* host time of each layer in steps with prompts, which no CUDA graph holds, on a host of 2020 */
    bool whole_prompts;  /* prompts that fit into a step are not divided */
    bool prompts_apart;  /* steps with prompts decode nobody */
    double llm_stage_us; /* from one stage of a pipeline to the next, beside the bytes */
    /* The rows of each matrix dealt out to several GPUs by one host thread: inputs go to all the others and results come back, one GPU
     * after the other, `row_columns` columns at a time. */
    double row_columns;
    double row_copy_us;    /* of the host for each GPU and once for all, a matrix and such a part of its columns */
    double row_link_share; /* of the PCIe slot's rate in one direction */
    double llm_first_us; /* more for the first prompt of a process: kernels are loaded, libraries start; 0: not known */
    double cpu_gbs;      /* layers that stay on the CPU: its memory, 1e9 bytes/s ... */
    double cpu_prompt_gbs; /* ... and the way to the GPU that they take for long prompts */

    /* how well its kernels do against the cost model's, which was fitted on PyTorch and vendor libraries; 1: the same */
    double conv_speed, depthwise_speed, gemm_speed, fp8_speed, fp4_speed, attention_speed, decode_speed,
        pointwise_speed;

    double conv_peak; /* share of the units' peak that its convolutions reach at best; 0: all */

    double train_pointwise_speed; /* pointwise_speed of a training step */

    double interval_tpot,
        interval_ttft; /* 80 % intervals of times per token and to the first one in serving; 0: as [interval] has them */
    double interval_factor; /* on the widths of [interval], for models */
    const str *measured_on; /* keys of GPUs on which this runtime's constants were fitted */
    uint32_t n_measured_on;
    const str *trained_on; /* the same for training steps */
    uint32_t n_trained_on;
} runtime_profile;

#endif
