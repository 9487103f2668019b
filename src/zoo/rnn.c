/* LSTM language models of the Penn Treebank (Zaremba 2014): embedding, two layers, an output layer over 10000 words. */
#include "zoo/tables.h"

typedef struct lstm_dims {
    int64_t vocabulary, width;
    int layers;
} lstm_dims;

static void build(nn *n, const void *dims)
{
    const lstm_dims *d = dims;
    nn_val ids = nn_token_input(n, "input_ids");
    nn_val x = nn_embedding(n, ids, "encoder", d->vocabulary, d->width, NULL);
    x = nn_transpose(n, x, "time_first", 3, (int64_t[]){1, 0, 2}); /* LSTM kernels walk over the first axis */
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "rnn");
        char layer[16];
        format_text(layer, sizeof layer, "l%d", i);
        x = nn_lstm(n, x, layer, d->width);
        nn_pop(n, mark);
    }
    x = nn_transpose(n, x, "batch_first", 3, (int64_t[]){1, 0, 2});
    nn_output(n, nn_linear(n, x, "decoder", d->vocabulary, true), "logits");
}

#define PAPER "https://arxiv.org/abs/1409.2329; counts: https://arxiv.org/abs/1708.02182, table 1"
#define ROW(nm, alias, text, params, ...)                                                                          \
    {                                                                                                              \
        .name = nm, .aliases = alias, .family = "rnn", .description = text, .parameters = params, .source = PAPER, \
        .sequence = 35, .build = build, .dims = ZOO_DIMS(lstm_dims, __VA_ARGS__)                                   \
    }

static const zoo_entry rows[] = {
    ROW("lstm-large", "lstm lstm-ptb lstm-ptb-large ptb-lstm-large", "LSTM, 2 layers of 1500 (Penn Treebank, large)",
        66000000, {10000, 1500, 2}),
    ROW("lstm-medium", "lstm-ptb-medium ptb-lstm-medium", "LSTM, 2 layers of 650 (Penn Treebank, medium)", 20000000,
        {10000, 650, 2}),
};

const zoo_table zoo_rnn = ZOO_TABLE(rows);
