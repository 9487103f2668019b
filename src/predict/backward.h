/* Shared by the files that make the kernels of a backward pass. */
#ifndef PREDICT_BACKWARD_H
#define PREDICT_BACKWARD_H

#include "predict/planner.h"

/* ---- backward.c: gradients, and what kernels read and write of them ---- */

/* Elements of t in this GPU's memory; 0: unknown, or t is not given. */
double backward_elements(const planner *p, uint32_t t);
bool backward_is_weight(const planner *p, uint32_t t);
/* Whether a gradient of t, of input i of the unit, is wanted. */
bool backward_wants(const planner *p, uint32_t t);
bool backward_wants_in(const planner *p, uint32_t i);
/* Bytes per element of the gradient of t. */
double backward_width(const planner *p, uint32_t t);
/* What a kernel that makes the gradient of t is for. */
step_role backward_role(const planner *p, uint32_t t);

/* The first kernel that the unit launched in the forward pass; NULL: none. Valid until the next kernel is emitted. */
const kernel *backward_forward(const planner *p);
/* A kernel over n elements with `flops` operations for each. */
kernel backward_kernel(const planner *p, double n, double flops);
/* Adds to the kernel the reading of the gradient of t, and of the value of t that was kept. */
void backward_read(planner *p, kernel *k, uint32_t t);
void backward_read_saved(planner *p, kernel *k, uint32_t t);
/* Adds the writing of the gradient of `to`, emits the kernel, and gives the gradient. */
void backward_emit(planner *p, kernel *k, uint32_t to, step_role role);

/* A gradient of t has been written; sums it up with those that were there. */
void backward_give(planner *p, uint32_t t);
/* The same for one that came with the kernel of another, which leaves nothing to sum up. */
void backward_count(planner *p, uint32_t t);
/* The gradient of `from` is that of `to` in another shape: no kernel, but a sum where another gradient is there. */
void backward_pass_on(planner *p, uint32_t from, uint32_t to);
/* A gradient of `from` elements, `width` bytes each, written at `born`, summed up to the smaller `to` that was broadcast. */
void backward_sum_to(planner *p, double from, double width, double born, uint32_t to, step_role role);

/* ---- backward_math.c, backward_data.c: by operator ---- */

void backward_gemm(planner *p);
void backward_conv(planner *p);
/* Normalisation over the batch, of which x was kept, written at `born`: its sums, then the gradient, in place. */
void backward_batch_norm(planner *p, uint32_t x, double born);
void backward_attention(planner *p);
void backward_recurrent(planner *p);

void backward_pointwise(planner *p);
void backward_norm(planner *p);
void backward_softmax(planner *p);
void backward_pool(planner *p);
void backward_reduce(planner *p);
void backward_slice(planner *p);
void backward_copy(planner *p);
void backward_view(planner *p);
void backward_gather(planner *p);
void backward_scatter(planner *p);
/* Writes the whole gradient of x from that of a smaller or larger result: reductions, resizing, slices, scatters. `extra`: bytes
 * that are read besides; `fill`: the gradient is zeroed first. */
void backward_spread(planner *p, uint32_t x, kernel_kind kind, double extra, bool fill);

#endif
