/* Custom operators of TensorFlow Lite: known by their names. */
#include "load/tflite_internal.h"
#include "wire/flexbuffer.h"

/* What compilers for other chips leave of a model: one operator that holds the others as that chip's program. */
static pg_code compiled(tflite_reader *r, tflite_node *n)
{
    return error_set(
        r->e, PG_E_UNSUPPORTED,
        "the model was compiled for another chip: its operators are inside '%.*s', where they can't be read; "
        "give the file from before it was compiled",
        STR_ARG(n->name));
}

/* Raw boxes [batch, boxes, 4], scores, anchors -> boxes, classes, scores, how many. The options say how many boxes there are at
 * most; converters leave out the shapes. */
static pg_code detection(tflite_reader *r, tflite_node *n)
{
    enum { RESULTS = 4, MOST = 1 << 20 };
    int64_t most = 0, each = 1;
    tflite_info boxes;
    span options = flatbuffer_bytes(&n->t, 5);
    if (!tflite_in_info(r, n, 0, &boxes)) return tflite_status(r);
    bool known = flexbuffer_int(options, "max_detections", &most) && most >= 1 && most <= MOST;
    if (known && (!flexbuffer_int(options, "max_classes_per_detection", &each) || each < 1 || each > MOST)) each = 1;
    uint32_t first = r->g->n_tensors;
    pg_code code = tflite_plain(r, n);
    if (code || !known || boxes.rank < 1) return code;
    num batch = num_int(boxes.open[0] || boxes.dims[0] < 1 ? 1 : boxes.dims[0]);
    if (r->g->batch_symbol >= 0 && (boxes.open[0] || boxes.dims[0] == r->g->fixed_batch))
        batch = (num){{.i = 0}, 1, r->g->batch_symbol};
    num dims[3] = {batch, num_int(most * each), num_int(4)};
    static const int ranks[RESULTS] = {3, 2, 2, 1};
    for (uint32_t i = 0; i < RESULTS && i < n->out.n; i++) {
        int32_t out = tflite_out(n, i);
        uint32_t t = out < 0 ? 0 : n->s->v[out].form[FORM_FILE];
        if (t > first && !graph_set_dims(r->g, t - 1, ranks[i], dims)) return error_nomem(r->e, r->g->a);
    }
    return PG_E_OK;
}

/* Custom operators that many files have. Flex operators are TensorFlow's, by their names there. */
pg_code tflite_custom(tflite_reader *r, tflite_node *n)
{
    static const struct {
        const char *name;
        tflite_translator translate;
        op_kind kind;
    } known[] = {
        {"Convolution2DTransposeBias", tflite_transpose_bias, OP_ConvTranspose},
        {"TFLite_Detection_PostProcess", detection, OP_DetectionPostProcess},
        {"MaxPoolingWithArgmax2D", tflite_custom_pool, OP_MaxPool},
        {"edgetpu-custom-op", compiled, OP_Unknown},
        {"ethos-u", compiled, OP_Unknown},
        {"MaxUnpooling2D", tflite_unknown, OP_Unknown},
        {"FlexErf", tflite_unary, OP_Erf},
        {"Erf", tflite_unary, OP_Erf},
        {"FlexGelu", tflite_unary, OP_Gelu},
        {"FlexSoftplus", tflite_unary, OP_Softplus},
        {"FlexSelu", tflite_unary, OP_Selu},
        {"FlexTan", tflite_unary, OP_Tan},
        {"FlexAddV2", tflite_binary, OP_Add},
        {"FlexAdd", tflite_binary, OP_Add},
        {"FlexMul", tflite_binary, OP_Mul},
        {"FlexSub", tflite_binary, OP_Sub},
        {"FlexRealDiv", tflite_binary, OP_Div},
        {"FlexPow", tflite_binary, OP_Pow},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (str_is(n->name, known[i].name)) {
            n->kind = known[i].kind;
            return known[i].translate(r, n);
        }
    return tflite_unknown(r, n);
}
