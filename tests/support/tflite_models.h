/* Small TensorFlow Lite models for tests: each shows a part of the format. */
#ifndef SUPPORT_TFLITE_MODELS_H
#define SUPPORT_TFLITE_MODELS_H

#include "support/tflite_write.h"

typedef struct tflite_model {
    const char *name;
    tw *(*build)(void);
    const char *outputs; /* "name [dims] dtype" of each, separated by "; " */
    double parameters, macs;
    uint64_t operators, unknown;
} tflite_model;

/* With a name, an author and the like; inputs and outputs have a name and a description. */
tw *tflite_described(void);

extern const tflite_model tflite_models[];
extern const size_t tflite_model_count;

/* Numbers of the schema that the tests use. */
enum {
    TFL_ADD = 0,
    TFL_AVERAGE_POOL = 1,
    TFL_CONCATENATION = 2,
    TFL_CONV = 3,
    TFL_DEPTHWISE = 4,
    TFL_DEPTH_TO_SPACE = 5,
    TFL_DEQUANTIZE = 6,
    TFL_FULLY_CONNECTED = 9,
    TFL_LOGISTIC = 14,
    TFL_LSTM = 16,
    TFL_MAX_POOL = 17,
    TFL_MUL = 18,
    TFL_RESHAPE = 22,
    TFL_RESIZE_BILINEAR = 23,
    TFL_RNN = 24,
    TFL_SOFTMAX = 25,
    TFL_SVDF = 27,
    TFL_CALL = 31,
    TFL_CUSTOM = 32,
    TFL_PAD = 34,
    TFL_GATHER = 36,
    TFL_BATCH_TO_SPACE = 37,
    TFL_SPACE_TO_BATCH = 38,
    TFL_TRANSPOSE = 39,
    TFL_MEAN = 40,
    TFL_SQUEEZE = 43,
    TFL_SEQUENCE_LSTM = 44,
    TFL_STRIDED_SLICE = 45,
    TFL_SPLIT = 49,
    TFL_BIDIRECTIONAL_LSTM = 52,
    TFL_PRELU = 54,
    TFL_ARG_MAX = 56,
    TFL_LESS = 58,
    TFL_SLICE = 65,
    TFL_TRANSPOSE_CONV = 67,
    TFL_EXPAND_DIMS = 70,
    TFL_SHAPE = 77,
    TFL_PACK = 83,
    TFL_UNPACK = 88,
    TFL_QUANTIZE = 114,
    TFL_IF = 118,
    TFL_WHILE = 119,
    TFL_DENSIFY = 124,
    TFL_BATCH_MATMUL = 126,
    TFL_CONV_3D = 132,
    TFL_HLO_CONVOLUTION = 171,
    TFL_HLO_SLICE = 172,
    TFL_HLO_REDUCE = 174,
    TFL_HLO_DOT = 197,
    TFL_HLO_COMPOSITE = 206,
};

extern const unsigned char tflite_detection_options[25];

/* The image network of the table in float and in int8: other files compare it. */
tw *tflite_image_network(void);

#endif
