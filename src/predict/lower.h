/* Shared by the files that lower units whose arithmetic decides. */
#ifndef PREDICT_LOWER_H
#define PREDICT_LOWER_H

#include "predict/planner.h"

/* ---- lower_math.c ---- */

/* The operator of the unit that is being lowered. */
const op *lower_op(const planner *p);
/* Dim i of a tensor, negative i from the back; 1 when it is not known. */
double lower_dim(const planner *p, uint32_t t, int i);
/* The product of the dims from `from` to before `to`. */
double lower_dims(const planner *p, uint32_t t, int from, int to);
/* Where the operands are: quantised operators carry scales and zero points between them. */
void lower_operands(const planner *p, uint32_t *a, uint32_t *b);

/* Bytes per element of what goes into and comes out of products. */
double lower_width(const planner *p);
/* Which unit does the arithmetic. FP32 models run on tensor cores as TF32 where the runtime lets them (`tf32`). */
precision lower_precision(const planner *p, bool tf32);
kernel lower_kernel(precision math, kernel_kind kind);
/* Casts an operand to the width of the products and makes it contiguous where asked; weights are cast once a step. */
void lower_prepare(planner *p, uint32_t t, bool contiguous);
/* A pass of its own over what a product or convolution wrote. */
void lower_after(planner *p, uint32_t out, step_role role, double operations);

#endif
