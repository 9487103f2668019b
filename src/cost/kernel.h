/* One kernel as the cost model sees it: what it computes and moves, not which model it came from. Pure data. */
#ifndef COST_KERNEL_H
#define COST_KERNEL_H

#include "gpu/spec.h"

typedef enum kernel_kind {
    KERNEL_GEMM,        /* shape.gemm */
    KERNEL_CONV,        /* shape.conv, dense or grouped; transposed convolutions are described by their backward form */
    KERNEL_DEPTHWISE,   /* shape.conv with groups == in channels */
    KERNEL_ATTENTION,   /* shape.attention, fused (flash-style): scores never reach DRAM */
    KERNEL_ELEMENTWISE, /* shape.rows: elements = rows * cols; `flops` counts one per simple operation */
    KERNEL_NORM,        /* shape.rows: layer, group, instance, batch normalisation over `cols` elements a row */
    KERNEL_SOFTMAX,     /* shape.rows */
    KERNEL_REDUCE,      /* shape.rows: `rows` results of `cols` elements each */
    KERNEL_POOL,        /* shape.rows: rows results of cols window elements */
    KERNEL_RESIZE,      /* shape.rows */
    KERNEL_GATHER,      /* shape.rows: rows gathered of cols elements: embeddings, gathers, scatters */
    KERNEL_COPY,        /* transposes, concatenations, casts, layout changes: only bytes */
    KERNEL_RECURRENT,   /* shape.recurrent: a whole LSTM, GRU or RNN layer */
    KERNEL_SCAN,        /* shape.scan: a recurrence with a matrix as state */
    KERNEL_SORT,        /* top-k, sort, non-maximum suppression: several passes over the bytes */
    KERNEL_GEMV,        /* shape.gemm with a few rows, by vector units: bytes, and `pull` */
    KERNEL_COMM,        /* shape.comm: between GPUs */
    KERNEL_OTHER,       /* unknown operators: bytes only, wider interval */
    KERNEL_KIND_COUNT
} kernel_kind;

/* What a kernel does in a training step, where that is not what it does in inference. */
typedef enum kernel_pass {
    PASS_FORWARD,
    PASS_DGRAD, /* gradient of the input: a convolution is described with input and output exchanged; attention: all of its
                   gradients, with the forward shape */
    PASS_WGRAD,       /* gradient of the weights: the forward shape; sums over batch and pixels */
    PASS_WGRAD_WHOLE, /* the same by a kernel of the vector units that does not split its sum over SMs */
    PASS_STATISTICS   /* batch normalisation in training: its sums over the batch, and what is applied with them */
} kernel_pass;

/* C[m,n] = A[m,k] B[k,n], `batch` of them. B is the weight where there is one. */
typedef struct gemm_shape {
    double m, n, k, batch;
} gemm_shape;

/* Products whose m differ, m being their mean: how many tiles of 16, 32, ... 256 rows hold them all. */
enum { GEMM_ROW_TILES = 5, GEMM_LEAST_ROWS = 16 };
typedef struct grouped_shape {
    gemm_shape gemm;
    double row_tiles[GEMM_ROW_TILES];
} grouped_shape;

/* Input [batch, in, h, w], weight [out, in / groups, kh, kw], output [batch, out, oh, ow]; 3-D: d folded into h. */
typedef struct conv_shape {
    double batch, in, out, h, w, oh, ow, kh, kw, stride, dilation, groups;
} conv_shape;

typedef struct attention_shape {
    double batch, heads, kv_heads, q_len, kv_len, head_dim, v_dim;
    bool causal; /* q_len rows end at the last of kv_len */
    bool single; /* the runtime has a lighter decode kernel where no heads share keys */
    bool apart;  /* more heads share keys than the runtime's decode kernel takes: each by itself, on vector units */
    bool flash;  /* the runtime's kernels are FlashAttention's: version 2 before Hopper */
    bool first;  /* ... or of its first version */
    bool sync;   /* with the instructions of Ampere, on whatever chip */
    bool prompt; /* the runtime runs its kernel for prompts over a prompt of one position too */
    bool bias;   /* an additive mask or bias [.., q_len, kv_len] is read */
    bool latent; /* decode: values are a part of the keys, one row for all heads (MLA) */
} attention_shape;

static inline bool attention_is_apart(const attention_shape *s, double most)
{
    return most > 0 && s->kv_heads > 0 && s->heads > most * s->kv_heads;
}

typedef struct rows_shape {
    double rows, cols;
} rows_shape;

typedef struct recurrent_shape {
    double steps, batch, input, hidden, gates, directions; /* gates: 4 LSTM, 3 GRU, 1 RNN */
} recurrent_shape;

typedef struct scan_shape {
    double seqs, steps, heads, dim, width; /* a state of dim x width for each head of each sequence */
} scan_shape;

typedef enum comm_kind {
    COMM_ALL_REDUCE,
    COMM_ALL_GATHER,
    COMM_REDUCE_SCATTER,
    COMM_ALL_TO_ALL,
    COMM_BROADCAST,
    COMM_SEND, /* from one GPU to another */
    COMM_KINDS
} comm_kind;

/* What serving runtimes use for small all-reduces instead of the communication library: kernels that wait for each other before
 * and after, or that find in the data itself whether it has arrived. */
typedef enum comm_own { COMM_OWN_NONE, COMM_OWN_BARRIERS, COMM_OWN_FLAGS } comm_own;

typedef struct comm_shape {
    double
        bytes; /* of the whole message: what each GPU has before an all-reduce or reduce-scatter, or after an all-gather */
    double gpus;
    comm_kind what;
    comm_own own;
} comm_shape;

/* Elementwise kernels that look for the largest of a few elements before they write them (quantising with scales). */
typedef enum kernel_scan {
    SCAN_NONE,
    SCAN_GROUPS, /* of a hundred elements or so */
    SCAN_ROWS    /* of shape.rows.cols: a thread block walks over a row */
} kernel_scan;

/* How a library finds the kernel for a matrix product. */
typedef enum product_choice {
    PRODUCT_BEST,         /* by its own measurements or heuristics: the best */
    PRODUCT_BY_ROWS,      /* the tile follows from the rows of A alone (CUTLASS kernels of vLLM) */
    PRODUCT_BLOCK_SCALED, /* kernels that scale each 128 elements of K by themselves (DeepSeek's FP8) */
} product_choice;

/* How an FP32 convolution of 3 x 3 is done. */
typedef enum conv_choice {
    CONV_BEST,   /* the fastest */
    CONV_DIRECT, /* an implicit matrix product */
    CONV_FUSED,  /* Winograd F(2x2) in one kernel */
    CONV_STAGED, /* Winograd F(4x4) in stages */
} conv_choice;

typedef struct kernel {
    kernel_kind kind;
    precision math;      /* which unit does the arithmetic */
    bool channels_last;  /* convolutions and pools: NHWC data */
    uint8_t pass;        /* kernel_pass */
    uint8_t choice;      /* product_choice; of convolutions conv_choice */
    double flops;        /* 2 per multiply-accumulate; elementwise: 1 per operation */
    double read_bytes;   /* compulsory reads other than weights */
    double weight_bytes; /* compulsory reads of parameters as stored for this kernel */
    double write_bytes;
    double hot_bytes;       /* of read_bytes: written recently by an earlier kernel of the same step ... */
    double hot_distance;    /* ... with this many bytes touched since then: in L2 only if that fits */
    double weight_distance; /* bytes touched since the weights were last used (a step's working set); INFINITY: cold */
    bool weight_rotated;    /* ... or, if that is less, copies of the weights that together just fill L2 */
    double write_distance;  /* bytes touched until the output is written again in place: stays in L2 if that fits;
                               0 (the usual case in a model's step): all written bytes reach DRAM */
    double pull;            /* KERNEL_GEMV: bytes that an SM takes in a clock at most */
    double pull_share;      /* ... and the share of the long-stream bandwidth that it reaches; 0: all of it */
    bool among;             /* one of many kernels of a step, whose power is a mean over all of them */
    double
        turns; /* alone in a benchmark's loop of so many turns, over before power management has settled; 0: a long one */
    double copies;        /* ... each turn of it as often as it has copies of the weights, if more than one */
    bool quiet;           /* ... whose weights are whatever memory held, nearly all zeros: units that hardly switch */
    double grouped_share; /* grouped products: how fast their tiles are against those of plain ones; 0: as fast */
    double grouped_setup; /* ... and seconds that each round of them takes more */
    double idle_bytes;    /* mixtures of experts: bytes for experts of other GPUs, where kernels don't skip them */
    bool
        grouped; /* mixtures of experts: products of each one's own rows (m: their mean), sorting, passes over sorted rows */
    bool fused;          /* KERNEL_SCAN: one kernel for all of a prompt */
    bool scattered;      /* a pass over rows in the order of others, or along time */
    bool whole_k;        /* products: no kernel splits the sum over K */
    double serial_turns; /* turns of a loop that every thread makes one after the other, ... */
    double
        serial_threads; /* ... of so many threads: bounds kernels that run with little parallelism. 0: not one of those */
    uint8_t scan;       /* kernel_scan */
    bool indexed;       /* a pass that works out for each element where its operands lie: broadcasts, copies of views */
    union {
        gemm_shape gemm;
        grouped_shape grouped;
        conv_shape conv;
        attention_shape attention;
        rows_shape rows;
        recurrent_shape recurrent;
        comm_shape comm;
        scan_shape scan;
    } shape;
} kernel;

typedef enum bound {
    BOUND_COMPUTE,
    BOUND_MEMORY, /* DRAM */
    BOUND_CACHE,  /* L2 */
    BOUND_LAUNCH, /* the kernel's fixed time */
    BOUND_HOST,   /* the CPU's issue time (set by predict/, not by cost/) */
    BOUND_LINK,   /* between GPUs */
    BOUND_COUNT
} bound;

typedef struct kernel_cost {
    double seconds;    /* GPU time of one execution, launch floor included */
    double compute_s;  /* at the compute roof as far as it can be reached */
    double memory_s;   /* at the memory roof as far as it can be reached */
    double ideal_s;    /* plain roofline: max(flops / dense peak, compulsory bytes / DRAM peak) */
    double dram_bytes; /* bytes that really come from or go to DRAM */
    double core_j;     /* joules at boost clock: operations, and bytes across the chip */
    double memory_j;   /* joules of DRAM */
    double operations; /* that take power, where they are not the kernel's `flops`; 0: those */
    double among;      /* bytes that its stages leave for each other */
    double launches;   /* GPU kernels that this one takes (split-K reduction, Winograd stages, ... count) */
    bound limit;
} kernel_cost;

#endif
