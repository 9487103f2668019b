/* What an export took apart and that can't be put together operation by operation (unit.h), since the result has attributes and several
 * results of its own: done once, in the graph itself.
 *
 * - Recurrent layers: PyTorch's decompositions unroll them over time, traces write a cell as its products and gates. Told by the formulas of
 *   LSTM, GRU and RNN: all steps read slices of one product of the inputs, each the state that the step before left, through the same
 *   weights. A step that multiplies its own input is a cell. What differs (other weights in a step, a state in the middle that something
 *   else reads, another formula) stays as it is.
 * - Additions to a part of a tensor, x[:, 1:] += y: one addition in place, whatever a trace, functionalisation or ONNX wrote behind it. */
#ifndef GRAPH_REWRITE_H
#define GRAPH_REWRITE_H

#include "graph/graph.h"

/* `pytorch`: whose cells are calls of their own. Changes the model's own operators (region 0) alone. */
pg_code graph_rewrite(graph *g, bool pytorch, pg_error *e);

#endif
