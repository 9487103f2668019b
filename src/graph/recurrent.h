/* Recurrent layers that an export took apart: PyTorch's decompositions unroll them over time, traces and older exporters write a cell
 * as its products and gates. What the model called was a layer, or a cell, and is so again.
 *
 * Told by the formulas of LSTM, GRU and RNN: all steps read slices of one product of the inputs, each the state that the step before
 * left, through the same weights. A step that multiplies its own input is a cell. Whatever differs (other weights in a step, a state
 * in the middle that something else reads, another formula) stays as it is. */
#ifndef GRAPH_RECURRENT_H
#define GRAPH_RECURRENT_H

#include "graph/graph.h"

/* `cells`: where the graph is PyTorch's, whose cells are calls of their own. Changes the model's own operators (region 0) alone. */
pg_code graph_join_recurrent(graph *g, bool cells, pg_error *e);

#endif
