/* Recurrences with a matrix as state (gated delta rule, Mamba 2), and the short convolutions in front of them, as serving runtimes run
 * them. Pure. */
#ifndef PREDICT_SCAN_H
#define PREDICT_SCAN_H

#include "cost/kernel.h"

/* `seqs` sequences of `steps` new positions; each of `heads` has a state of dim x width numbers in fp32. `act`: bytes of an activation. */
kernel scan_kernel(double seqs, double steps, double heads, double dim, double width, double act);
/* A convolution along time over `taps` positions of each channel; the last ones are kept for the next step. */
kernel scan_convolution(double seqs, double steps, double channels, double taps, double act);

#endif
