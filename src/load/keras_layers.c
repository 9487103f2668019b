/* The layers of Keras 1, 2 and 3 by class, and how one is called. */
#include "load/keras_internal.h"

enum { CALLS_MOST = 1 << 18, WRAPPED_MOST = 64 };

/* A name that Keras 1 or 2, or a version of TensorFlow, has given a layer, too. */
static const keras_rule rules[] = {
    {"Dense", keras_dense, 0},
    {"EinsumDense", keras_einsum_dense, 0},
    {"TimeDistributedDense", keras_dense, 0},
    {"Embedding", keras_embedding, 0},
    {"ReversibleEmbedding", keras_reversible_embedding, 0},
    /* of KerasHub */
    {"PositionEmbedding", keras_position_embedding, 0},
    {"TokenAndPositionEmbedding", keras_token_and_position, 0},
    {"RotaryEmbedding", keras_rotary, 0},
    {"TransformerEncoder", keras_transformer, 0},
    {"TransformerDecoder", keras_transformer, 1},
    {"CachedMultiHeadAttention", keras_multi_head, 0},
    {"LlamaTransformerDecoder", keras_gated_block, 0},
    {"MistralTransformerDecoder", keras_gated_block, 0},
    {"QwenTransformerDecoder", keras_gated_block, 1},
    {"GemmaDecoderBlock", keras_gated_block, 2},
    {"LlamaLayerNorm", keras_layer_norm, OP_RMSNormalization},
    {"MistralLayerNormalization", keras_layer_norm, OP_RMSNormalization},
    {"QwenLayerNorm", keras_layer_norm, OP_RMSNormalization},
    {"_FirstToken", keras_first_token, 0},
    /* convolutions; the variant is the number of spatial dims */
    {"Conv1D", keras_conv, 1},
    {"Conv2D", keras_conv, 2},
    {"Conv3D", keras_conv, 3},
    {"Convolution1D", keras_conv, 1},
    {"Convolution2D", keras_conv, 2},
    {"Convolution3D", keras_conv, 3},
    {"AtrousConvolution1D", keras_conv, 1},
    {"AtrousConvolution2D", keras_conv, 2},
    {"Conv1DTranspose", keras_conv_transpose, 1},
    {"Conv2DTranspose", keras_conv_transpose, 2},
    {"Conv3DTranspose", keras_conv_transpose, 3},
    {"Convolution2DTranspose", keras_conv_transpose, 2},
    {"Deconvolution2D", keras_conv_transpose, 2},
    {"Deconvolution3D", keras_conv_transpose, 3},
    {"DepthwiseConv1D", keras_depthwise, 1},
    {"DepthwiseConv2D", keras_depthwise, 2},
    {"SeparableConv1D", keras_separable, 1},
    {"SeparableConv2D", keras_separable, 2},
    {"SeparableConvolution1D", keras_separable, 1},
    {"SeparableConvolution2D", keras_separable, 2},
    {"MaxPooling1D", keras_max_pool, 1},
    {"MaxPooling2D", keras_max_pool, 2},
    {"MaxPooling3D", keras_max_pool, 3},
    {"MaxPool1D", keras_max_pool, 1},
    {"MaxPool2D", keras_max_pool, 2},
    {"MaxPool3D", keras_max_pool, 3},
    {"AveragePooling1D", keras_average_pool, 1},
    {"AveragePooling2D", keras_average_pool, 2},
    {"AveragePooling3D", keras_average_pool, 3},
    {"AvgPool1D", keras_average_pool, 1},
    {"AvgPool2D", keras_average_pool, 2},
    {"AvgPool3D", keras_average_pool, 3},
    {"GlobalMaxPooling1D", keras_global_max_pool, 1},
    {"GlobalMaxPooling2D", keras_global_max_pool, 2},
    {"GlobalMaxPooling3D", keras_global_max_pool, 3},
    {"GlobalMaxPool1D", keras_global_max_pool, 1},
    {"GlobalMaxPool2D", keras_global_max_pool, 2},
    {"GlobalMaxPool3D", keras_global_max_pool, 3},
    {"GlobalAveragePooling1D", keras_global_average_pool, 1},
    {"GlobalAveragePooling2D", keras_global_average_pool, 2},
    {"GlobalAveragePooling3D", keras_global_average_pool, 3},
    {"GlobalAvgPool1D", keras_global_average_pool, 1},
    {"GlobalAvgPool2D", keras_global_average_pool, 2},
    {"GlobalAvgPool3D", keras_global_average_pool, 3},
    {"AdaptiveAveragePooling1D", keras_adaptive_pool, 1},
    {"AdaptiveAveragePooling2D", keras_adaptive_pool, 2},
    {"AdaptiveAveragePooling3D", keras_adaptive_pool, 3},
    {"AdaptiveMaxPooling1D", keras_adaptive_pool, 1},
    {"AdaptiveMaxPooling2D", keras_adaptive_pool, 2},
    {"AdaptiveMaxPooling3D", keras_adaptive_pool, 3},
    {"UpSampling1D", keras_upsample, 1},
    {"UpSampling2D", keras_upsample, 2},
    {"UpSampling3D", keras_upsample, 3},
    {"ZeroPadding1D", keras_zero_pad, 1},
    {"ZeroPadding2D", keras_zero_pad, 2},
    {"ZeroPadding3D", keras_zero_pad, 3},
    {"Cropping1D", keras_crop, 1},
    {"Cropping2D", keras_crop, 2},
    {"Cropping3D", keras_crop, 3},
    /* normalisation */
    {"BatchNormalization", keras_batch_norm, 0},
    {"BatchNormalizationV1", keras_batch_norm, 0},
    {"BatchNormalizationV2", keras_batch_norm, 0},
    {"SyncBatchNormalization", keras_batch_norm, 0},
    {"LayerNormalization", keras_layer_norm, OP_LayerNormalization},
    {"RMSNormalization", keras_layer_norm, OP_RMSNormalization},
    {"GroupNormalization", keras_group_norm, 0},
    {"Addons>GroupNormalization", keras_group_norm, 0},
    {"InstanceNormalization", keras_group_norm, 1}, /* of keras-contrib and TensorFlow Addons */
    {"Addons>InstanceNormalization", keras_group_norm, 1},
    {"UnitNormalization", keras_unit_norm, 0},
    {"LayerScale", keras_layer_scale, 0}, /* of keras.applications.convnext */
    /* recurrent; the variant is the operator */
    {"SimpleRNN", keras_recurrent, OP_RNN},
    {"LSTM", keras_recurrent, OP_LSTM},
    {"GRU", keras_recurrent, OP_GRU},
    {"CuDNNLSTM", keras_recurrent, OP_LSTM},
    {"CuDNNGRU", keras_recurrent, OP_GRU},
    {"LSTMV1", keras_recurrent, OP_LSTM},
    {"LSTMV2", keras_recurrent, OP_LSTM},
    {"GRUV1", keras_recurrent, OP_GRU},
    {"GRUV2", keras_recurrent, OP_GRU},
    {"UnifiedLSTM", keras_recurrent, OP_LSTM},
    {"UnifiedGRU", keras_recurrent, OP_GRU},
    {"SimpleRNNCell", keras_recurrent, OP_RNN},
    {"LSTMCell", keras_recurrent, OP_LSTM},
    {"GRUCell", keras_recurrent, OP_GRU},
    {"RNN", keras_cells, 0},
    {"ConvLSTM1D", keras_conv_lstm, 1},
    {"ConvLSTM2D", keras_conv_lstm, 2},
    {"ConvLSTM3D", keras_conv_lstm, 3},
    {"Bidirectional", keras_bidirectional, 0},
    {"TimeDistributed", keras_time_distributed, 0},
    {"SpectralNormalization", keras_wrapper, 0},
    {"Wrapper", keras_wrapper, 0},
    /* attention */
    {"MultiHeadAttention", keras_multi_head, 0},
    {"GroupedQueryAttention", keras_multi_head, 1},
    {"GroupQueryAttention", keras_multi_head, 1},
    {"Attention", keras_dot_attention, 0},
    {"AdditiveAttention", keras_additive_attention, 0},
    /* merging; the variant is the operator */
    {"Add", keras_merge, OP_Add},
    {"Subtract", keras_merge, OP_Sub},
    {"Multiply", keras_merge, OP_Mul},
    {"Maximum", keras_merge, OP_Max},
    {"Minimum", keras_merge, OP_Min},
    {"Average", keras_merge, OP_Mean},
    {"Concatenate", keras_concatenate, 0},
    {"Merge", keras_concatenate, 0},
    {"Dot", keras_dot, 0},
    /* moving data */
    {"Reshape", keras_reshape_layer, 0},
    {"Flatten", keras_flatten, 0},
    {"Permute", keras_permute, 0},
    {"RepeatVector", keras_repeat_vector, 0},
    /* activations; the variant of those that are called by their own name is the operator */
    {"Activation", keras_activation_layer, 0},
    {"ReLU", keras_activation_layer, 0},
    {"Softmax", keras_activation_layer, 0},
    {"LeakyReLU", keras_activation_layer, 0},
    {"ELU", keras_activation_layer, 0},
    {"ThresholdedReLU", keras_activation_layer, 0},
    {"PReLU", keras_parametric, 0},
    /* what inference leaves out */
    {"Dropout", keras_dropout, 0},
    {"SpatialDropout1D", keras_dropout, 0},
    {"SpatialDropout2D", keras_dropout, 0},
    {"SpatialDropout3D", keras_dropout, 0},
    {"AlphaDropout", keras_dropout, 0},
    {"GaussianDropout", keras_dropout, 0},
    {"FixedDropout", keras_dropout, 0},    /* of the efficientnet package */
    {"StochasticDepth", keras_dropout, 0}, /* of keras.applications.convnext */
    {"GaussianNoise", keras_same, 0},
    {"ActivityRegularization", keras_same, 0},
    {"Identity", keras_same, 0},
    {"InputLayer", keras_same, 0},
    {"Masking", keras_masking, 0},
    /* preprocessing */
    {"Rescaling", keras_rescale, 0},
    {"Normalization", keras_rescale, 1},
    {"Resizing", keras_resize, 0},
    {"CenterCrop", keras_center_crop, 0},
    {"RandomCrop", keras_center_crop, 1},
    {"RandomFlip", keras_same, 0},
    {"RandomRotation", keras_same, 0},
    {"RandomTranslation", keras_same, 0},
    {"RandomZoom", keras_same, 0},
    {"RandomContrast", keras_same, 0},
    {"RandomBrightness", keras_same, 0},
    {"RandomHeight", keras_same, 0},
    {"RandomWidth", keras_same, 0},
    {"RandomSharpness", keras_same, 0},
    {"RandomShear", keras_same, 0},
    {"RandomHue", keras_same, 0},
    {"RandomSaturation", keras_same, 0},
    {"RandomGrayscale", keras_same, 0},
    {"RandomColorJitter", keras_same, 0},
    {"RandomColorDegeneration", keras_same, 0},
    {"RandomPosterization", keras_same, 0},
    {"RandomGaussianBlur", keras_same, 0},
    {"RandomPerspective", keras_same, 0},
    {"RandomErasing", keras_same, 0},
    {"RandomInvert", keras_same, 0},
    {"RandAugment", keras_same, 0},
    {"AugMix", keras_same, 0},
    {"CutMix", keras_same, 0},
    {"MixUp", keras_same, 0},
    {"StringLookup", keras_on_host, 0},
    {"IntegerLookup", keras_on_host, 0},
    {"TextVectorization", keras_on_host, 0},
    {"Hashing", keras_on_host, 0},
    {"HashedCrossing", keras_on_host, 0},
    {"Discretization", keras_on_host, 0},
    {"CategoryEncoding", keras_on_host, 0},
    /* TensorFlow's functions as layers */
    {"TFOpLambda", keras_function, 0},
    {"SlicingOpLambda", keras_function, 0},
    {"ClassMethod", keras_function, 0},
    {"InstanceMethod", keras_function, 0},
    {"InstanceProperty", keras_function, 0},
    {"TensorFlowOpLayer", keras_function, 1},
};

static void index_rules(keras *k)
{
    map_init(&k->rules, &k->scratch);
    bool added;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (!keras_must(k, map_add(&k->rules, str_c(rules[i].class), (uint32_t)i, &added) != NULL)) return;
}

static void run_model(keras *k, keras_call *c)
{
    keras_layer *l = c->l;
    uint32_t chosen[2];
    const json_t *entry = l->entry;
    bool backbone = keras_is_backbone(l->class, l->config);
    if (backbone && !l->model) entry = keras_backbone(k, l->entry);
    if (!l->model && !k->failed) {
        char text[512];
        size_t n = format_text(text, sizeof text, "%.*s%s/", STR_ARG(l->prefix), l->name);
        str prefix = str_copy(&k->scratch, (str){text, n < sizeof text ? n : sizeof text - 1});
        if (keras_must(k, prefix.ptr != NULL)) l->model = keras_model_read(k, entry, prefix);
    }
    if (k->failed) return;
    if (backbone) keras_model_run(k, l->model, chosen, keras_backbone_inputs(k, c, chosen), &c->out);
    else keras_model_run(k, l->model, c->in, c->n_in, &c->out);
}

/* Operations of Keras 3 stand among the layers; some have the name of one (Add). */
static bool is_operation(const json_t *entry)
{
    const char *module = json_get_text(entry, "module", "");
    return str_starts(str_c(module), "keras.src.ops") || str_starts(str_c(module), "keras.ops");
}

void keras_run(keras *k, keras_call *c)
{
    keras_layer *l = c->l;
    if (k->failed) return;
    if (++k->calls > CALLS_MOST) {
        keras_fail(k, l, PG_E_LIMIT,
                   "more than %d layers are called once shared models are laid out; the file is not a sane model",
                   CALLS_MOST);
        return;
    }
    if (!k->rules.count) index_rules(k);
    if (k->failed) return;
    l->at = 0;
    if (is_operation(l->entry)) {
        if (!keras_operation(k, c)) keras_unknown(k, c, NO_TENSOR);
        return;
    }
    if (keras_is_model(l->class, l->config) || (keras_is_backbone(l->class, l->config) && c->n_in)) {
        run_model(k, c);
        return;
    }
    const uint32_t *row = map_find(&k->rules, str_c(l->class));
    if (!row) keras_unknown(k, c, NO_TENSOR);
    else if (!c->n_in && rules[*row].run != keras_function)
        keras_fail(k, l, PG_E_GRAPH, "it reads nothing; save the model again");
    else rules[*row].run(k, c, rules[*row].variant);
}

uint32_t keras_apply(keras *k, keras_layer *l, uint32_t x)
{
    keras_call c = {.l = l, .in = &x, .n_in = 1};
    keras_run(k, &c);
    return c.out.n ? c.out.t[0] : NO_TENSOR;
}

keras_layer *keras_wrapped(keras *k, keras_layer *l, const char *key)
{
    if (l->wrapped) return l->wrapped;
    const json_t *v = json_object_get(l->config, key);
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if ((!json_is_array(v) && !json_is_object(v)) || n < 1 || n > WRAPPED_MOST) {
        keras_fail(k, l, PG_E_GRAPH, "it holds no %s; save the model again", key);
        return NULL;
    }
    char text[512];
    size_t len = format_text(text, sizeof text, "%.*s%s/", STR_ARG(l->prefix), l->name);
    str prefix = str_copy(&k->scratch, (str){text, len < sizeof text ? len : sizeof text - 1});
    l->wrapped = ARENA_ARRAY(&k->scratch, keras_layer, n);
    if (!keras_must(k, prefix.ptr && l->wrapped)) return NULL;
    for (size_t i = 0; i < n; i++)
        keras_layer_init(k, &l->wrapped[i], json_is_array(v) ? json_array_get(v, i) : v, prefix);
    l->n_wrapped = (uint32_t)n;
    return k->failed ? NULL : l->wrapped;
}
