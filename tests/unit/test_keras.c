/* The Keras reader: layers one by one with what they hold and cost, models of several, and files that are wrong.
 *
 * Configurations are written with ' for " and packed into an archive, as Keras does. Expected numbers are worked out by hand. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/proto.h"
#include "phantom/phantom.h"
#include "support/expect.h"
#include "support/gpus.h"
#include "support/keras_write.h"

static pg_code open_config(pg_model **m, const char *config, pg_error *e)
{
    size_t n = strlen(config), size;
    char *text = malloc(n + 1);
    assert_non_null(text);
    for (size_t i = 0; i <= n; i++) text[i] = config[i] == '\'' ? '"' : config[i];
    uint8_t *archive = keras_archive(text, n, &size);
    assert_non_null(archive);
    pg_code code = open_memory(m, archive, size, NULL, e);
    free(archive);
    free(text);
    return code;
}

static pg_model *open_good(const char *config)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    if (open_config(&m, config, &e)) fail_msg("%s: %s in %s", e.path, e.text, config);
    return m;
}

static void shape_text(const pg_tensor *t, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, t->rank < 0 ? "unknown" : "");
    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? "," : "", t->dims[i].text ? t->dims[i].text : "?");
}

/* ---- layers ---- */

typedef struct layer_case {
    const char *input;  /* its shape, without the batch */
    const char *layers; /* CLASS|CONFIG; several separated by ';' */
    double parameters, macs;
    const char *output;
} layer_case;

/* "Dense|'units':3" as the entry of a layer. */
static void put_layers(char *out, size_t cap, const char *layers)
{
    size_t n = 0;
    for (int i = 0; *layers; i++) {
        size_t class = strcspn(layers, "|"), end = strcspn(layers, ";");
        const char *config = layers + class + 1;
        n += (size_t)snprintf(out + n, cap - n, ",{'class_name':'%.*s','config':{'name':'l%d'%s%.*s}}", (int)class,
                              layers, i, end > class + 1 ? "," : "", (int)(end - class - 1), config);
        layers += end + (layers[end] == ';');
    }
}

static void sequential(char *out, size_t cap, const char *input, const char *type, const char *layers)
{
    char list[4096] = "";
    put_layers(list, sizeof list, layers);
    snprintf(out, cap,
             "{'class_name':'Sequential','config':{'name':'m','layers':[{'class_name':'InputLayer','config':"
             "{'batch_input_shape':[null,%s],'dtype':'%s','name':'x'}}%s]}}",
             input, type, list);
}

static void expect_case(const layer_case *c)
{
    char config[8192], shape[128];
    sequential(config, sizeof config, c->input, "float32", c->layers);
    pg_model *m = open_good(config);
    const pg_model_info *info = pg_model_describe(m);
    shape_text(&info->outputs[0], shape, sizeof shape);
    if (info->parameters != c->parameters || info->macs != c->macs || strcmp(shape, c->output) != 0)
        fail_msg("%s on %s: %g parameters, %g MACs, [%s]; not %g, %g, [%s]", c->layers, c->input, info->parameters,
                 info->macs, shape, c->parameters, c->macs, c->output);
    if (info->unknown_operator_count) fail_msg("%s: unknown operators", c->layers);
    pg_model_free(m);
}

static void expect_cases(const layer_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) expect_case(&cases[i]);
}
#define EXPECT(cases) expect_cases(cases, sizeof cases / sizeof cases[0])

static void test_dense(void **state)
{
    (void)state;
    static const layer_case cases[] = {
        {"20", "Dense|'units':8", 168, 160, "batch,8"},
        {"20", "Dense|'units':8,'use_bias':false,'activation':'relu'", 160, 160, "batch,8"},
        {"7,20", "Dense|'units':8", 168, 1120, "batch,7,8"},
        {"20", "Dense|'output_dim':8,'bias':false", 160, 160, "batch,8"}, /* Keras 1 */
        {"7,20", "TimeDistributed|'layer':{'class_name':'Dense','config':{'units':8}}", 168, 1120, "batch,7,8"},
        {"7,24", "EinsumDense|'equation':'abc,cde->abde','output_shape':[null,4,6],'bias_axes':'de'", 600, 4032,
         "batch,7,4,6"},
        {"7,4,6", "EinsumDense|'equation':'abde,dec->abc','output_shape':[null,24],'bias_axes':'c'", 600, 4032,
         "batch,7,24"},
        {"7,24", "EinsumDense|'equation':'...x,xy->...y','output_shape':16", 384, 2688, "batch,7,16"},
        {"24", "EinsumDense|'equation':'ab,bc->ac','output_shape':16,'bias_axes':'c'", 400, 384, "batch,16"},
        {"5", "Embedding|'input_dim':50,'output_dim':8", 400, 0, "batch,5,8"},
        {"20", "SpectralNormalization|'layer':{'class_name':'Dense','config':{'units':8}}", 168, 160, "batch,8"},
    };
    EXPECT(cases);
}

static void test_convolutions(void **state)
{
    (void)state;
    static const layer_case cases[] = {
        {"32,32,3", "Conv2D|'filters':8,'kernel_size':[3,3],'padding':'same'", 224, 221184, "batch,32,32,8"},
        {"32,32,3", "Conv2D|'filters':8,'kernel_size':3,'strides':[2,2],'padding':'same'", 224, 55296, "batch,16,16,8"},
        {"32,32,3", "Conv2D|'filters':8,'kernel_size':3,'dilation_rate':2", 224, 169344, "batch,28,28,8"},
        {"32,32,4", "Conv2D|'filters':8,'kernel_size':1,'groups':2,'use_bias':false", 16, 16384, "batch,32,32,8"},
        {"3,32,32", "Conv2D|'filters':8,'kernel_size':3,'data_format':'channels_first'", 224, 194400, "batch,8,30,30"},
        {"3,32,32", "Convolution2D|'nb_filter':8,'nb_row':3,'nb_col':3,'dim_ordering':'th'", 224, 194400,
         "batch,8,30,30"},
        {"10,4", "Conv1D|'filters':6,'kernel_size':[3],'padding':'causal','dilation_rate':[2]", 78, 720, "batch,10,6"},
        {"8,8,8,1", "Conv3D|'filters':4,'kernel_size':3,'padding':'same'", 112, 55296, "batch,8,8,8,4"},
        {"16,16,4", "DepthwiseConv2D|'kernel_size':3,'depth_multiplier':2,'padding':'same'", 80, 18432,
         "batch,16,16,8"},
        {"16,4", "DepthwiseConv1D|'kernel_size':3", 16, 168, "batch,14,4"},
        {"16,16,4", "SeparableConv2D|'filters':6,'kernel_size':3,'padding':'same'", 66, 15360, "batch,16,16,6"},
        {"16,4", "SeparableConv1D|'filters':6,'kernel_size':3,'padding':'same'", 42, 576, "batch,16,6"},
        {"8,8,4", "Conv2DTranspose|'filters':6,'kernel_size':3,'strides':2,'padding':'same'", 222, 13824,
         "batch,16,16,6"},
        {"8,8,4", "Conv2DTranspose|'filters':6,'kernel_size':3,'strides':2", 222, 13824, "batch,17,17,6"},
        {"8,8,4", "Conv2DTranspose|'filters':6,'kernel_size':2,'strides':3", 102, 6144, "batch,24,24,6"},
        {"8,8,4", "Conv2DTranspose|'filters':6,'kernel_size':3,'strides':2,'padding':'same','output_padding':1", 222,
         13824, "batch,16,16,6"},
        {"8,4", "Conv1DTranspose|'filters':6,'kernel_size':2,'strides':2", 54, 384, "batch,16,6"},
        {"4,4,4,2", "Conv3DTranspose|'filters':3,'kernel_size':2,'strides':2", 51, 3072, "batch,8,8,8,3"},
        {"5,16,16,3", "TimeDistributed|'layer':{'class_name':'Conv2D','config':{'filters':4,'kernel_size':3}}", 112,
         105840, "batch,5,14,14,4"},
        {"5,8,8,3", "ConvLSTM2D|'filters':2,'kernel_size':[3,3],'padding':'same'", 368, 115200, "batch,8,8,2"},
        {"5,8,8,3", "ConvLSTM2D|'filters':2,'kernel_size':3,'return_sequences':true", 368, 64800, "batch,5,6,6,2"},
        {"5,8,3", "ConvLSTM1D|'filters':2,'kernel_size':3,'padding':'same'", 128, 4800, "batch,8,2"},
    };
    EXPECT(cases);
}

static void test_pooling_and_sizes(void **state)
{
    (void)state;
    static const layer_case cases[] = {
        {"9,9,4", "MaxPooling2D|", 0, 0, "batch,4,4,4"},
        {"9,9,4", "MaxPooling2D|'pool_size':[3,3],'strides':[2,2],'padding':'same'", 0, 0, "batch,5,5,4"},
        {"4,9,9", "AveragePooling2D|'pool_size':3,'data_format':'channels_first'", 0, 0, "batch,4,3,3"},
        {"9,4", "MaxPooling1D|'pool_length':3,'stride':2,'border_mode':'valid'", 0, 0, "batch,4,4"}, /* Keras 1 */
        {"9,4", "AveragePooling1D|'pool_size':2,'strides':null", 0, 0, "batch,4,4"},
        {"8,8,8,2", "MaxPooling3D|", 0, 0, "batch,4,4,4,2"},
        {"9,9,4", "GlobalAveragePooling2D|", 0, 0, "batch,4"},
        {"4,9,9", "GlobalMaxPooling2D|'data_format':'channels_first','keepdims':true", 0, 0, "batch,4,1,1"},
        {"9,4", "GlobalMaxPooling1D|", 0, 0, "batch,4"},
        {"8,8,8,2", "GlobalAveragePooling3D|", 0, 0, "batch,2"},
        {"9,9,4", "AdaptiveAveragePooling2D|'output_size':[3,2]", 0, 0, "batch,3,2,4"},
        {"8,8,4", "UpSampling2D|'size':[2,3],'interpolation':'bilinear'", 0, 0, "batch,16,24,4"},
        {"4,8,8", "UpSampling2D|'data_format':'channels_first'", 0, 0, "batch,4,16,16"},
        {"8,4", "UpSampling1D|'length':3", 0, 0, "batch,24,4"},
        {"8,8,4", "ZeroPadding2D|'padding':[[1,0],[2,3]]", 0, 0, "batch,9,13,4"},
        {"8,8,4", "ZeroPadding2D|'padding':[1,2]", 0, 0, "batch,10,12,4"},
        {"8,8,4", "ZeroPadding2D|'padding':3", 0, 0, "batch,14,14,4"},
        {"8,4", "ZeroPadding1D|'padding':[2,1]", 0, 0, "batch,11,4"},
        {"8,8,4", "Cropping2D|'cropping':[[1,0],[2,3]]", 0, 0, "batch,7,3,4"},
        {"8,4", "Cropping1D|'cropping':[2,1]", 0, 0, "batch,5,4"},
        {"8,8,8,1", "Cropping3D|'cropping':2", 0, 0, "batch,4,4,4,1"},
        {"40,40,3", "Resizing|'height':20,'width':30", 0, 0, "batch,20,30,3"},
        {"40,40,3", "CenterCrop|'height':20,'width':30;RandomFlip|'mode':'horizontal'", 0, 0, "batch,20,30,3"},
        {"null,null,3", "Conv2D|'filters':1,'kernel_size':1;GlobalAveragePooling2D|", 4, 150528, "batch,1"},
        {"null,null,3", "Conv2D|'filters':1,'kernel_size':1,'padding':'same'", 4, 150528, "batch,height,width,1"},
    };
    EXPECT(cases);
}

static void test_normalisation(void **state)
{
    (void)state;
    static const layer_case cases[] = {
        {"8,8,6", "BatchNormalization|'axis':[3]", 12, 0, "batch,8,8,6"},
        {"8,8,6", "BatchNormalization|'axis':-1,'scale':false", 6, 0, "batch,8,8,6"},
        {"6,8,8", "BatchNormalization|'axis':1,'center':false", 6, 0, "batch,6,8,8"},
        {"6", "SyncBatchNormalization|", 12, 0, "batch,6"},
        {"6", "BatchNormalizationV1|'axis':[1]", 12, 0, "batch,6"},
        {"5,6", "LayerNormalization|'axis':[2]", 12, 0, "batch,5,6"},
        {"5,6", "LayerNormalization|'axis':[1,2],'center':false", 30, 0, "batch,5,6"},
        {"5,6", "RMSNormalization|", 6, 0, "batch,5,6"},
        {"8,8,6", "GroupNormalization|'groups':3", 12, 0, "batch,8,8,6"},
        {"8,8,6", "GroupNormalization|'groups':-1,'axis':-1", 12, 0, "batch,8,8,6"},
        {"8,8,6", "InstanceNormalization|'axis':-1", 12, 0, "batch,8,8,6"},
        {"8,8,6", "LayerScale|'projection_dim':6;StochasticDepth|'drop_path_rate':0.1", 6, 0, "batch,8,8,6"},
        {"5,6", "UnitNormalization|'axis':-1", 0, 0, "batch,5,6"},
    };
    EXPECT(cases);
}

static void test_recurrent(void **state)
{
    (void)state;
    static const layer_case cases[] = {
        {"5,8", "LSTM|'units':6", 360, 1680, "batch,6"},
        {"5,8", "LSTM|'units':6,'return_sequences':true,'use_bias':false", 336, 1680, "batch,5,6"},
        {"null,8", "GRU|'units':6,'return_sequences':true", 270, 32256, "batch,sequence,6"},
        {"5,8", "GRU|'units':6,'reset_after':true", 288, 1260, "batch,6"},
        {"5,8", "CuDNNGRU|'units':6", 288, 1260, "batch,6"},
        {"5,8", "CuDNNLSTM|'units':6", 384, 1680, "batch,6"},
        {"5,8", "SimpleRNN|'units':6", 90, 420, "batch,6"},
        {"5,8", "LSTM|'units':6,'return_state':true", 360, 1680, "batch,6"},
        {"5,8", "Bidirectional|'layer':{'class_name':'LSTM','config':{'units':6,'return_sequences':true}}", 720, 3360,
         "batch,5,12"},
        {"5,8",
         "Bidirectional|'layer':{'class_name':'LSTM','config':{'units':6}},'backward_layer':{'class_name':'LSTM',"
         "'config':{'units':6,'go_backwards':true}}",
         720, 3360, "batch,12"},
        {"5,8",
         "Bidirectional|'layer':{'class_name':'LSTM','config':{'units':6}},'backward_layer':{'class_name':'GRU',"
         "'config':{'units':4}}",
         516, 2400, "batch,10"},
        {"5,8", "Bidirectional|'merge_mode':'sum','layer':{'class_name':'GRU','config':{'units':6}}", 540, 2520,
         "batch,6"},
        {"5,8,8,1", "Bidirectional|'layer':{'class_name':'ConvLSTM2D','config':{'filters':1,'kernel_size':1}}", 24,
         5120, "batch,8,8,2"},
        {"5,8", "RNN|'cell':{'class_name':'LSTMCell','config':{'units':6}}", 360, 1680, "batch,6"},
        {"5,8",
         "RNN|'return_sequences':true,'cell':{'class_name':'StackedRNNCells','config':{'cells':[{'class_name':'GRUCell',"
         "'config':{'units':4}},{'class_name':'SimpleRNNCell','config':{'units':3}}]}}",
         180, 825, "batch,5,3"},
    };
    EXPECT(cases);
}

static void test_attention(void **state)
{
    (void)state;
    /* query, key, value 16 * 32 + 32 each, output 32 * 16 + 16; two products of 4 heads of 7 * 7 * 8 */
    static const layer_case cases[] = {
        {"7,16", "MultiHeadAttention|'num_heads':4,'key_dim':8", 2160, 17472, "batch,7,16"},
        {"7,16", "MultiHeadAttention|'num_heads':4,'key_dim':8,'value_dim':4,'use_bias':false,'output_shape':5", 1360,
         11872, "batch,7,5"},
        {"2,3,16", "MultiHeadAttention|'num_heads':4,'key_dim':8", 2160, 14592, "batch,2,3,16"},
        {"2,3,16", "MultiHeadAttention|'num_heads':4,'key_dim':8,'attention_axes':[2]", 2160, 13440, "batch,2,3,16"},
        {"7,16", "GroupedQueryAttention|'head_dim':8,'num_query_heads':4,'num_key_value_heads':2,'use_bias':false",
         1536, 13888, "batch,7,16"},
    };
    EXPECT(cases);
}

static void test_keras_hub_layers(void **state)
{
    (void)state;
    /* four projections 16 * 16 + 16, two norms, 16 * 32 + 32 and back; attention 2 * 4 * 7 * 7 * 4 */
    static const layer_case cases[] = {
        {"7,16", "TransformerEncoder|'num_heads':4,'intermediate_dim':32,'activation':'gelu'", 2224, 15904,
         "batch,7,16"},
        {"7,16", "TransformerEncoder|'num_heads':4,'intermediate_dim':32,'normalize_first':true", 2224, 15904,
         "batch,7,16"},
        {"8,16", "TransformerDecoder|'num_heads':4,'intermediate_dim':32", 2224, 17536, "batch,8,16"},
        {"7,16", "CachedMultiHeadAttention|'num_heads':4,'key_dim':8", 2160, 17472, "batch,7,16"},
        {"7,16", "PositionEmbedding|'sequence_length':20", 320, 0, "batch,7,16"},
        {"7", "TokenAndPositionEmbedding|'vocabulary_size':50,'sequence_length':20,'embedding_dim':8", 560, 0,
         "batch,7,8"},
        {"7", "ReversibleEmbedding|'input_dim':50,'output_dim':8", 400, 0, "batch,7,8"},
        {"7,16", "RotaryEmbedding|'max_wavelength':10000", 0, 0, "batch,7,16"},
    };
    EXPECT(cases);
}

static void test_moving_and_activations(void **state)
{
    (void)state;
    static const layer_case cases[] = {
        {"4,6", "Flatten|", 0, 0, "batch,24"},
        {"4,6,2", "Flatten|'data_format':'channels_first'", 0, 0, "batch,48"},
        {"4,6", "Reshape|'target_shape':[-1,3]", 0, 0, "batch,8,3"},
        {"4,6", "Permute|'dims':[2,1]", 0, 0, "batch,6,4"},
        {"6", "RepeatVector|'n':5", 0, 0, "batch,5,6"},
        {"6", "Activation|'activation':'gelu';ReLU|'max_value':6.0;LeakyReLU|'alpha':0.1;ELU|", 0, 0, "batch,6"},
        {"6", "Activation|'activation':{'class_name':'function','config':'relu6'};Softmax|'axis':-1", 0, 0, "batch,6"},
        {"6", "Activation|'activation':'glu'", 0, 0, "batch,3"},
        {"4,6", "PReLU|'shared_axes':[1]", 6, 0, "batch,4,6"},
        {"4,6", "Dropout|'rate':0.5;GaussianNoise|'stddev':1;ActivityRegularization|'l1':1", 0, 0, "batch,4,6"},
        {"4,6", "Masking|'mask_value':0", 0, 0, "batch,4,6"},
        {"6", "Rescaling|'scale':0.5,'offset':1;Normalization|'axis':[-1]", 0, 0, "batch,6"},
        {"6", "Hashing|'num_bins':9", 0, 0, "batch,6"},
        {"1", "TextVectorization|'output_mode':'int','output_sequence_length':9", 0, 0, "batch,9"},
        {"6", "CategoryEncoding|'num_tokens':11", 0, 0, "batch,11"},
    };
    EXPECT(cases);
}

/* ---- models ---- */

static void expect_model(const char *config, double parameters, double macs, const char *outputs)
{
    pg_model *m = open_good(config);
    const pg_model_info *info = pg_model_describe(m);
    char all[512] = "", shape[128];
    for (size_t i = 0; i < info->output_count; i++) {
        shape_text(&info->outputs[i], shape, sizeof shape);
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? "; " : "", shape);
    }
    if (info->parameters != parameters || info->macs != macs || strcmp(all, outputs) != 0)
        fail_msg("%g parameters, %g MACs, [%s]; not %g, %g, [%s]", info->parameters, info->macs, all, parameters, macs,
                 outputs);
    pg_model_free(m);
}

#define INPUT(name, shape) \
    "{'class_name':'InputLayer','config':{'batch_input_shape':" shape "},'name':'" name "','inbound_nodes':[]}"
#define LAYER(name, class, config, nodes) \
    ",{'class_name':'" class "','config':{" config "},'name':'" name "','inbound_nodes':[" nodes "]}"
#define MODEL(layers, in, out) \
    "{'class_name':'Functional','config':{'layers':[" layers "],'input_layers':[" in "],'output_layers':[" out "]}}"
#define REF(name) "['" name "',0,0]"

#define BACKBONE(class, fields) "{'class_name':'" class "','config':{'name':'b','dtype':'float32'," fields "}}"
#define LAYERS(n) "'num_layers':" n ",'vocabulary_size':"

/* The published numbers of parameters of models that KerasHub has. MACs: those of the projections and of attention, with 128 tokens. */
static void test_keras_hub_backbones(void **state)
{
    (void)state;
    static const char *const roles = "'num_heads':12,'hidden_dim':768,'intermediate_dim':3072";
    const double block = 4 * 768 * 768 + 2 * 768 * 3072, scores = 2.0 * 128 * 128 * 768;
    const double causal = 128 * 129; /* two products, of each token with those up to it */
    char config[2048];
    snprintf(config, sizeof config,
             BACKBONE("BertBackbone", LAYERS("12") "30522,'max_sequence_length':512,'num_segments':2,%s"), roles);
    expect_model(config, 109482240, 12 * (128 * block + scores) + 768 * 768, "batch,768; batch,sequence,768");
    snprintf(config, sizeof config, BACKBONE("DistilBertBackbone", LAYERS("6") "30522,'max_sequence_length':512,%s"),
             roles);
    expect_model(config, 66362880, 6 * (128 * block + scores), "batch,sequence,768");
    snprintf(config, sizeof config,
             "{'class_name':'GPT2CausalLM','config':{'preprocessor':null,'backbone':" BACKBONE(
                 "GPT2Backbone", LAYERS("12") "50257,'max_sequence_length':1024,%s") "}}",
             roles);
    expect_model(config, 124439808, 12 * (128 * block + causal * 768) + 128.0 * 768 * 50257, "batch,sequence,50257");
    /* TinyLlama */
    const double gated = 2048.0 * (2 * 2048 + 2 * 256 + 3 * 5632);
    expect_model("{'class_name':'LlamaCausalLM','config':{'backbone':" BACKBONE(
                     "LlamaBackbone",
                     LAYERS("22") "32000,'num_query_heads':32,'num_key_value_heads':4,'hidden_dim':2048,"
                                  "'intermediate_dim':5632") "}}",
                 1100048384, 22 * (128 * gated + causal * 2048) + 128.0 * 2048 * 32000, "batch,sequence,32000");
    /* Gemma 2B: heads of 256, whose one key is shared, and half of 32768 in each part of the network */
    const double gemma = 2048.0 * (2 * 2048 + 2 * 256 + 3 * 16384);
    expect_model(BACKBONE("GemmaBackbone",
                          LAYERS("18") "256000,'num_query_heads':8,'num_key_value_heads':1,'head_dim':256,"
                                       "'hidden_dim':2048,'intermediate_dim':32768"),
                 2506172416, 18 * (128 * gemma + causal * 2048), "batch,sequence,2048");
}

/* A backbone is a layer like any other: its inputs are told by their names, its outputs by the order of theirs. */
static void test_backbone_as_a_layer(void **state)
{
    (void)state;
#define IDS(name) INPUT(name, "[null,null]")
    expect_model(MODEL(IDS("padding_mask") "," IDS("segment_ids") "," IDS("token_ids")
                           LAYER("b", "BertBackbone",
                                 "'name':'b','num_layers':1,'num_heads':2,'hidden_dim':8,'intermediate_dim':16,"
                                 "'vocabulary_size':10,'max_sequence_length':128,'num_segments':3",
                                 "[['padding_mask',0,0,{}],['segment_ids',0,0,{}],['token_ids',0,0,{}]]")
                               LAYER("d", "Dense", "'units':2", "[['b',0,0,{}]]"),
                       REF("padding_mask") "," REF("segment_ids") "," REF("token_ids"), REF("d") ",['b',0,1]"),
                 8 * (10 + 128 + 3) + 16 + 4 * 72 + 2 * 16 + 8 * 16 + 16 + 16 * 8 + 8 + 72 + 18,
                 128 * (4 * 64 + 2 * 128) + 2 * 128 * 128 * 8 + 64 + 16, "batch,2; batch,sequence,8");
}

static void test_broken_backbones(void **state)
{
    (void)state;
    static const struct {
        const char *config, *words;
    } cases[] = {
        {BACKBONE("GPT2Backbone", "'num_heads':2"), "should have num_layers from 1 to 1024"},
        {BACKBONE("GPT2Backbone", "'num_layers':1000000000"), "should have num_layers from 1 to 1024"},
        {BACKBONE("GPT2Backbone", "'num_layers':1,'num_heads':2"), "input_dim"},
        {BACKBONE("GPT2Backbone", LAYERS("1") "9,'max_sequence_length':99,'hidden_dim':8,'num_heads':9,"
                                              "'intermediate_dim':4"),
         "8 features can't be split into 9 heads"},
        {BACKBONE("LlamaBackbone", LAYERS("1") "9,'hidden_dim':8,'num_query_heads':3,'num_key_value_heads':2,"
                                               "'intermediate_dim':4"),
         "don't fit together"},
        {"{'class_name':'GPT2CausalLM','config':{'backbone':{'class_name':'GPT2Backbone','config':7}}}", "num_layers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        assert_int_not_equal(open_config(&m, cases[i].config, &e), PG_E_OK);
        if (!strstr(e.text, cases[i].words)) fail_msg("'%s' does not say '%s'", e.text, cases[i].words);
    }
}

/* A layer that is called twice has its weights once and its work twice. */
static void test_shared_layer(void **state)
{
    (void)state;
    expect_model(MODEL(INPUT("a", "[null,10]") "," INPUT("b", "[null,10]")
                           LAYER("d", "Dense", "'units':4", "[['a',0,0,{}]],[['b',0,0,{}]]")
                               LAYER("c", "Concatenate", "'axis':-1", "[['d',0,0,{}],['d',1,0,{}]]")
                                   LAYER("p", "Dot", "'axes':1", "[['d',0,0,{}],['d',1,0,{}]]"),
                       REF("a") "," REF("b"), REF("c") "," REF("p")),
                 44, 80, "batch,8; batch,1");
}

#define INNER                                                                                     \
    "'layers':[" INPUT("x", "[null,6]") LAYER("d", "Dense", "'units':6", "[['x',0,0,{}]]") LAYER( \
        "s", "Add", "", "[['x',0,0,{}],['d',0,0,{}]]") "],'input_layers':[['x',0,0]],'output_layers':[['s',0,0]]"

/* Calls of a model count from 1; older and newer files count from 0. */
static void test_nested_model(void **state)
{
    (void)state;
    expect_model(MODEL(INPUT("i", "[null,6]") LAYER("m", "Functional", INNER, "[['i',0,0,{}]],[['m',1,0,{}]]")
                           LAYER("o", "Dense", "'units':2", "[['m',2,0,{}]]"),
                       REF("i"), REF("o")),
                 56, 84, "batch,2");
    expect_model(MODEL(INPUT("i", "[null,6]") LAYER("m", "Model", INNER, "[['i',0,0]]"), REF("i"), "['m',0,0]"), 42, 36,
                 "batch,6");
}

/* Each of 40 nestings would call the one below twice: the reader stops instead. */
static void test_laid_out_models_are_bounded(void **state)
{
    (void)state;
    enum { LEVELS = 24 };
    char *text = malloc(1 << 16), *out = malloc(1 << 16);
    assert_true(text && out);
    strcpy(text, "'layers':[" INPUT("x", "[null,6]")
                     LAYER("d", "Activation", "'activation':'relu'",
                           "[['x',0,0,{}]]") "],'input_layers':[['x',0,0]],'output_layers':[['d',0,0]]");
    for (int i = 0; i < LEVELS; i++) {
        snprintf(
            out, 1 << 16,
            "'layers':[" INPUT(
                "x",
                "[null,6]") ",{'class_name':'Functional','config':{%s},'name':'m','inbound_nodes':"
                            "[[['x',0,0,{}]],[['m',1,0,{}]]]}],'input_layers':[['x',0,0]],'output_layers':[['m',2,0]]",
            text);
        char *t = text;
        text = out;
        out = t;
    }
    snprintf(out, 1 << 16, "{'class_name':'Functional','config':{%s}}", text);
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    clock_t start = clock();
    assert_int_equal(open_config(&m, out, &e), PG_E_LIMIT);
    assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
    free(text);
    free(out);
}

#define TENSOR(name, shape) \
    "{'class_name':'__keras_tensor__','config':{'shape':" shape ",'dtype':'float32','keras_history':['" name "',0,0]}}"
#define LAYER3(name, module, class, config, args)                                                           \
    ",{'module':'" module "','class_name':'" class "','config':{'name':'" name "'" config "},'name':'" name \
                                                   "','inbound_nodes':[{'args':[" args "],'kwargs':{}}]}"

/* Keras 3: references are objects, operations stand between the layers, and what is read says its shape. */
static void test_keras_3(void **state)
{
    (void)state;
    expect_model(
        "{'module':'keras.src.models.functional','class_name':'Functional','config':{'layers':["
        "{'module':'keras.layers','class_name':'InputLayer','config':{'batch_shape':[null,8,8,3],'name':'i'},'name':'i',"
        "'inbound_nodes':[]}" LAYER3(
            "c", "keras.layers", "Conv2D",
            ",'filters':4,'kernel_size':[1,1],'dtype':{'class_name':'DTypePolicy','config':{'name':"
            "'mixed_float16'}}",
            TENSOR("i", "[null,8,8,3]"))
            LAYER3("g", "keras.src.ops.numpy", "GetItem", "",
                   TENSOR("c", "[null,8,8,4]") ",{'class_name':'__tuple__','items':[{'class_name':'__slice__','config':"
                                               "{'start':null,'stop':null,'step':null}},2,null]}")
                LAYER3("m", "keras.src.ops.numpy", "Mean", ",'axis':[1,2],'keepdims':false",
                       TENSOR("g", "[null,1,8,4]")) LAYER3("a", "keras.src.ops.numpy", "Add", "",
                                                           TENSOR("m", "[null,4]") ",1.5")
                    LAYER3("own", "my.code", "Mine", "", TENSOR("a", "[null,4]"))
                        LAYER3("d", "keras.layers", "Dense", ",'units':2", TENSOR("own", "[null,12]"))
                            LAYER3("k", "keras.layers", "Concatenate", ",'axis':-1",
                                   "[" TENSOR("d", "[null,2]") "," TENSOR(
                                       "m", "[null,4]") "]") "],'input_layers':['i',0,0],'output_layers':['k',0,0]}}",
        42, 792, "batch,6");
}

/* Functions of TensorFlow as layers: arguments by name, constants, slices. */
static void test_keras_2_functions(void **state)
{
    (void)state;
#define FUNCTION(name, function, nodes) LAYER(name, "TFOpLambda", "'function':'" function "'", nodes)
    expect_model(
        MODEL(INPUT("i", "[null,16,16,3]") FUNCTION("a", "math.truediv", "['i',0,0,{'y':127.5}]")
                  FUNCTION("b", "math.subtract", "['a',0,0,{'y':[1.0,2.0,3.0]}]")
                      FUNCTION("c", "__operators__.add", "['_CONSTANT_VALUE',-1,2.5,{'y':['b',0,0]}]") LAYER(
                          "g", "SlicingOpLambda", "'function':'__operators__.getitem'",
                          "['c',0,0,{'slice_spec':[{'start':null,'stop':null,'step':null},{'start':1,'stop':-1,"
                          "'step':2},0]}]") FUNCTION("r", "math.reduce_mean", "['g',0,0,{'axis':[1],'keepdims':true}]")
                          FUNCTION("s", "compat.v1.shape", "['c',0,0,{}]")
                              FUNCTION("t", "concat", "[['g',0,0,{'axis':1}],['r',0,0,{'axis':1}]]")
                                  FUNCTION("u", "linalg.matmul", "['t',0,0,{'b':['t',0,0],'transpose_b':true}]")
                                      FUNCTION("v", "image.resize", "['c',0,0,{'size':[8,4]}]"),
              REF("i"), REF("u") "," REF("v")),
        0, 192, "batch,8,8; batch,8,4,3");
}

static void test_dtypes(void **state)
{
    (void)state;
    pg_model *m = open_good("{'class_name':'Sequential','config':[{'class_name':'Dense','config':{'units':4,"
                            "'batch_input_shape':[null,8],'dtype':'float16'}}]}");
    const pg_model_info *info = pg_model_describe(m);
    assert_string_equal(info->weights_by_dtype[0].name, "float16");
    assert_true(info->weights_bytes == 72 && info->parameters == 36);
    assert_true(info->has_batch && info->fixed_batch == 0);
    pg_model_free(m);
}

/* A batch that the file fixes can be another one. */
static void test_fixed_batch(void **state)
{
    (void)state;
    pg_model *m = open_good(
        "{'class_name':'Sequential','config':[{'class_name':'LSTM','config':{'units':4,'stateful':true,"
        "'batch_input_shape':[16,5,8]}}]}");
    assert_true(pg_model_describe(m)->fixed_batch == 16 && pg_model_describe(m)->has_batch);
    assert_true(pg_model_describe(m)->macs == 960);
    pg_model_free(m);
}

/* What isn't known is named, keeps the weights that the file holds, and what reads it still has its own. */
static void test_unknown_layer(void **state)
{
    (void)state;
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    if (pg_model_open(&m, TEST_ROOT "/tests/fuzz/corpora/keras/unknown_layer.h5", NULL, &e)) fail_msg("%s", e.text);
    const pg_model_info *info = pg_model_describe(m);
    assert_int_equal(info->unknown_operator_count, 1);
    assert_string_equal(info->unknown_operators[0].name, "Mine");
    assert_true(info->parameters == 16 + 8 + 2); /* m/w, d/kernel as the file has it, d/bias */
    assert_string_equal(info->producer, "Keras 2.4.0");
    pg_model_free(m);
}

/* Behind a layer that is not known, what a model says of its input is what is known of it. */
static void test_model_behind_unknown_layer(void **state)
{
    (void)state;
    pg_model *m = open_good(
        "{'class_name':'Sequential','config':{'layers':[{'class_name':'Mine','config':{'batch_input_shape':[null,8]}},"
        "{'class_name':'Sequential','config':{'layers':[{'class_name':'InputLayer','config':{'batch_input_shape':[null,5,6],"
        "'name':'i'}},{'class_name':'Dense','config':{'units':4}}]}}]}}");
    const pg_model_info *info = pg_model_describe(m);
    char shape[64];
    shape_text(&info->outputs[0], shape, sizeof shape);
    assert_string_equal(shape, "batch,5,4");
    assert_true(info->parameters == 28);
    assert_int_equal(info->unknown_operator_count, 1);
    pg_model_free(m);
}

/* A block of layers in a class of one's own: in what order they run, nobody says. */
static void test_block_of_layers(void **state)
{
    (void)state;
    pg_model *m = open_good(
        "{'class_name':'Sequential','config':[{'class_name':'Block','config':{'batch_input_shape':[null,8],"
        "'layers':[{'class_name':'Dense','config':{'units':4}}]}}]}");
    assert_int_equal(pg_model_describe(m)->unknown_operator_count, 1);
    assert_true(pg_model_describe(m)->parameters == 0);
    pg_model_free(m);
}

static void test_weights_alone(void **state)
{
    (void)state;
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    if (pg_model_open(&m, TEST_ROOT "/tests/fuzz/corpora/keras/weights_alone.h5", NULL, &e)) fail_msg("%s", e.text);
    const pg_model_info *info = pg_model_describe(m);
    assert_non_null(info->no_graph);
    assert_true(info->parameters == 8 && info->macs < 0); /* without the moving mean */
    pg_model_free(m);
    m = open_good("{'class_name':'MyModel','config':{'width':3}}");
    assert_non_null(strstr(pg_model_describe(m)->no_graph, "MyModel"));
    pg_model_free(m);
}

/* Weights of a built-in model are recognised, whatever the order of their dims. (The file has no contents.) */
static void test_recognised_weights(void **state)
{
    (void)state;
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    if (pg_model_open(&m, TEST_ROOT "/tests/cases/keras/vgg16_weights.h5", NULL, &e)) fail_msg("%s", e.text);
    const pg_model_info *info = pg_model_describe(m);
    assert_true(info->parameters == 138357544 && info->macs > 15e9);
    assert_non_null(strstr(info->warnings[0], "recognised as vgg16"));
    pg_model_free(m);
}

/* However the configuration is stored, it is the same model. */
static void test_containers(void **state)
{
    (void)state;
    static const char *const names[] = {"mlp_new_groups.h5", "mlp_old_groups.h5", "config_in_parts.h5",
                                        "config_fixed_text.h5", "archive.keras"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        snprintf(path, sizeof path, TEST_ROOT "/tests/fuzz/corpora/keras/%s", names[i]);
        if (pg_model_open(&m, path, NULL, &e)) fail_msg("%s: %s", names[i], e.text);
        assert_string_equal(pg_model_describe(m)->format, "keras");
        assert_true(pg_model_describe(m)->parameters == 10 && pg_model_describe(m)->macs == 8);
        pg_model_free(m);
    }
}

/* ---- what is refused ---- */

static void expect_error(const char *config, pg_code code, const char *words)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    if (!open_config(&m, config, &e)) fail_msg("%s is taken", config);
    assert_null(m);
    if (e.code != code || !strstr(e.text, words)) fail_msg("%d: %s: %s", (int)e.code, e.path, e.text);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const units[] = {
        "1000000000000000000", "-3", "0", "2147483648", "NaN", "'many'", "null", "1e30"};
    char config[1024];
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        snprintf(config, sizeof config,
                 "{'class_name':'Sequential','config':[{'class_name':'Dense','config':{'units':%s,"
                 "'batch_input_shape':[null,8]}}]}",
                 units[i]);
        expect_error(config, PG_E_GRAPH, "units");
    }
    expect_error(MODEL(INPUT("i", "[null,4]") LAYER("a", "Add", "", "[['i',0,0,{}],['b',0,0,{}]]")
                           LAYER("b", "Dense", "'units':4", "[['a',0,0,{}]]"),
                       REF("i"), REF("b")),
                 PG_E_GRAPH, "feeds itself");
    expect_error(MODEL(INPUT("i", "[null,4]") LAYER("a", "Dense", "'units':4", "[['a',0,0,{}]]"), REF("i"), REF("a")),
                 PG_E_GRAPH, "feeds itself");
    expect_error(
        MODEL(INPUT("i", "[null,4]") LAYER("a", "Dense", "'units':4", "[['ghost',0,0,{}]]"), REF("i"), REF("a")),
        PG_E_GRAPH, "'ghost', which is not there");
    expect_error(MODEL(INPUT("i", "[null,4]") LAYER("a", "Dense", "'units':4", "[['i',7,0,{}]]"), REF("i"), REF("a")),
                 PG_E_GRAPH, "no such call");
    expect_error(MODEL(INPUT("i", "[null,4]") LAYER("a", "Dense", "'units':4", "[['i',0,3,{}]]"), REF("i"), REF("a")),
                 PG_E_GRAPH, "output 3");
    expect_error(MODEL(INPUT("i", "[null,4]") LAYER("a", "Dense", "'units':4", "[['i',0,0,{}]]")
                           LAYER("a", "Dense", "'units':4", "[['i',0,0,{}]]"),
                       REF("i"), REF("a")),
                 PG_E_GRAPH, "two layers");
    expect_error(MODEL(INPUT("i", "[null,4]"), REF("i"), REF("nowhere")), PG_E_GRAPH, "nowhere");
    expect_error("{'class_name':'Sequential','config':{'layers':[]}}", PG_E_GRAPH, "no layers");
    expect_error("{'class_name':'Sequential','config':[{'class_name':'Dense','config':{'units':4}}]}", PG_E_UNSUPPORTED,
                 "input is not given");
    expect_error("{'class_name':'Sequential','config':[{'config':{}}]}", PG_E_FORMAT, "class_name");
    expect_error("[]", PG_E_FORMAT, "class");
    expect_error("{'class_name':", PG_E_FORMAT, "not valid JSON");
    expect_error(
        "{'class_name':'Sequential','config':[{'class_name':'Conv2D','config':{'batch_input_shape':[null,8,8,3],"
        "'filters':4,'kernel_size':[3,3],'groups':2}}]}",
        PG_E_GRAPH, "groups");
    expect_error(
        "{'class_name':'Sequential','config':[{'class_name':'Conv2D','config':{'batch_input_shape':[null,2,2,3],"
        "'filters':4,'kernel_size':[3,3]}}]}",
        PG_E_GRAPH, "larger than the padded input");
}

static void test_nested_a_thousand_deep(void **state)
{
    (void)state;
    enum { DEPTH = 1000 };
    size_t cap = (size_t)DEPTH * 64 + 64, n = 0;
    char *text = malloc(cap);
    assert_non_null(text);
    for (int i = 0; i < DEPTH; i++)
        n += (size_t)snprintf(text + n, cap - n, "{'class_name':'Sequential','config':{'layers':[");
    for (int i = 0; i < DEPTH; i++) n += (size_t)snprintf(text + n, cap - n, "]}}");
    expect_error(text, PG_E_LIMIT, "nested");
    free(text);
}

/* ---- one network in two formats ---- */

static double latency_in(const pg_model *m, const char *runtime, int64_t batch, pg_task task, pg_layout layout)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    pg_request r = {.batch = batch, .runtime = runtime, .task = task, .layout = layout};
    if (pg_plan_open(&plan, m, gpus, &r, &e)) fail_msg("%s: %s", runtime, e.text);
    assert_int_equal(pg_plan_predict(plan, pg_catalog_at(gpus, 3), &p, &e), PG_E_OK);
    pg_plan_free(plan);
    return p.gpu_ms;
}

static double latency(const pg_model *m, const char *runtime, int64_t batch, pg_task task)
{
    return latency_in(m, runtime, batch, task, PG_LAYOUT_DEFAULT);
}

/* The same MACs and parameters, and GPU time within 2 %. */
static void expect_same(proto *onnx, const char *keras)
{
    static const char *const runtimes[] = {"pytorch", "pytorch-compile", "onnxruntime", "tensorrt", "tensorflow"};
    pg_model *a, *b = open_good(keras);
    pg_error e = PG_ERROR_INIT;
    if (open_memory(&a, onnx->ptr, onnx->len, &(pg_model_options){.format = "onnx"}, &e)) fail_msg("%s", e.text);
    proto_free(onnx);
    assert_true(pg_model_describe(a)->macs == pg_model_describe(b)->macs);
    assert_true(pg_model_describe(a)->parameters == pg_model_describe(b)->parameters);
    for (size_t i = 0; i < sizeof runtimes / sizeof runtimes[0]; i++)
        for (int64_t batch = 1; batch <= 64; batch *= 8)
            for (int way = 0; way < (i < 2 ? 4 : 1); way++) {
                pg_task task = way & 1 ? PG_TASK_TRAINING : PG_TASK_INFERENCE;
                pg_layout layout = way & 2 ? PG_LAYOUT_NHWC : PG_LAYOUT_DEFAULT;
                double x = latency_in(a, runtimes[i], batch, task, layout);
                double y = latency_in(b, runtimes[i], batch, task, layout);
                if (fabs(x / y - 1) > 0.02)
                    fail_msg("%s at batch %d, way %d: %g ms as ONNX, %g ms as Keras", runtimes[i], (int)batch, way, x,
                             y);
            }
    pg_model_free(a);
    pg_model_free(b);
}

/* Channels first there, last here. */
static void test_same_image_model(void **state)
{
    (void)state;
    proto g = {NULL, 0, 0}, attrs = {NULL, 0, 0};
    onnx_input(&g, "x", "batch 3 64 64");
    onnx_weight(&g, "w", ONNX_FLOAT, "32 3 3 3");
    onnx_weight(&g, "b", ONNX_FLOAT, "32");
    static const char *const norms[] = {"s1", "o1", "m1", "v1", "s2", "o2", "m2", "v2"};
    for (int i = 0; i < 8; i++) onnx_weight(&g, norms[i], ONNX_FLOAT, i < 4 ? "32" : "64");
    onnx_weight(&g, "w2", ONNX_FLOAT, "32 1 3 3");
    onnx_weight(&g, "w3", ONNX_FLOAT, "64 32 1 1");
    onnx_weight(&g, "w4", ONNX_FLOAT, "64 10");
    onnx_weight(&g, "b4", ONNX_FLOAT, "10");
    onnx_attr_ints(&attrs, "pads", "1 1 1 1");
    onnx_attr_ints(&attrs, "strides", "2 2");
    onnx_node(&g, "Conv", "x w b", "c1", &attrs);
    onnx_node(&g, "BatchNormalization", "c1 s1 o1 m1 v1", "n1", NULL);
    onnx_node(&g, "Relu", "n1", "r1", NULL);
    onnx_attr_ints(&attrs, "pads", "1 1 1 1");
    onnx_attr_int(&attrs, "group", 32);
    onnx_node(&g, "Conv", "r1 w2", "c2", &attrs);
    onnx_node(&g, "Conv", "c2 w3", "c3", NULL);
    onnx_node(&g, "BatchNormalization", "c3 s2 o2 m2 v2", "n2", NULL);
    onnx_node(&g, "Relu", "n2", "r2", NULL);
    onnx_attr_ints(&attrs, "kernel_shape", "2 2");
    onnx_attr_ints(&attrs, "strides", "2 2");
    onnx_node(&g, "MaxPool", "r2", "p", &attrs);
    onnx_attr_ints(&attrs, "axes", "2 3");
    onnx_attr_int(&attrs, "keepdims", 0);
    onnx_node(&g, "ReduceMean", "p", "a", &attrs);
    onnx_node(&g, "Gemm", "a w4 b4", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 17);
    char config[4096];
    sequential(config, sizeof config, "64,64,3", "float32",
               "Conv2D|'filters':32,'kernel_size':3,'strides':2,'padding':'same';BatchNormalization|;ReLU|;"
               "DepthwiseConv2D|'kernel_size':3,'padding':'same','use_bias':false;"
               "Conv2D|'filters':64,'kernel_size':1,'use_bias':false;BatchNormalization|;ReLU|;MaxPooling2D|;"
               "GlobalAveragePooling2D|;Dense|'units':10");
    expect_same(&file, config);
}

static void test_same_text_model(void **state)
{
    (void)state;
    proto g = {NULL, 0, 0}, attrs = {NULL, 0, 0};
    onnx_input(&g, "x", "batch 32 64");
    onnx_weight(&g, "w", ONNX_FLOAT, "1 512 64");
    onnx_weight(&g, "r", ONNX_FLOAT, "1 512 128");
    onnx_weight(&g, "b", ONNX_FLOAT, "1 512");
    onnx_weight(&g, "s", ONNX_FLOAT, "128");
    onnx_weight(&g, "o", ONNX_FLOAT, "128");
    onnx_weight(&g, "d", ONNX_FLOAT, "128 256");
    onnx_weight(&g, "e", ONNX_FLOAT, "256");
    onnx_attr_int(&attrs, "hidden_size", 128);
    onnx_attr_int(&attrs, "layout", 1);
    onnx_node(&g, "LSTM", "x w r b", "h", &attrs);
    onnx_attr_ints(&attrs, "axes", "2");
    onnx_node(&g, "Squeeze", "h", "q", &attrs);
    onnx_node(&g, "LayerNormalization", "q s o", "n", NULL);
    onnx_node(&g, "MatMul", "n d", "m", NULL);
    onnx_node(&g, "Add", "m e", "a", NULL);
    onnx_node(&g, "Softmax", "a", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 17);
    char config[4096];
    sequential(config, sizeof config, "32,64", "float32",
               "LSTM|'units':128,'return_sequences':true;LayerNormalization|;Dense|'units':256,'activation':'softmax'");
    expect_same(&file, config);
}

/* ---- files of others, where they are ---- */

static void test_shared_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double parameters, macs;
        uint64_t unknown;
    } files[] = {{"ad01.h5", 267928, 264192, 0}, {"resnet8.h5", 78186, 12501632, 0}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        snprintf(path, sizeof path, TEST_ROOT "/../shared/models/files/%s", files[i].name);
        if (access(path, R_OK)) skip();
        if (pg_model_open(&m, path, NULL, &e)) fail_msg("%s: %s", files[i].name, e.text);
        const pg_model_info *info = pg_model_describe(m);
        if (info->parameters != files[i].parameters || info->macs != files[i].macs)
            fail_msg("%s: %.0f parameters, %.0f MACs", files[i].name, info->parameters, info->macs);
        assert_int_equal(info->unknown_operator_count, files[i].unknown);
        pg_model_free(m);
    }
}

/* Somebody's conversion of the same network, with its normalisations folded, as a runtime that folds them runs it. */
static void test_shared_conversion(void **state)
{
    (void)state;
    static const char *const names[] = {"resnet8.h5", "resnet8_float.tflite"};
    pg_model *m[2];
    for (int i = 0; i < 2; i++) {
        char path[512];
        pg_error e = PG_ERROR_INIT;
        snprintf(path, sizeof path, TEST_ROOT "/../shared/models/files/%s", names[i]);
        if (access(path, R_OK)) skip();
        if (pg_model_open(&m[i], path, NULL, &e)) fail_msg("%s: %s", names[i], e.text);
    }
    assert_true(pg_model_describe(m[0])->macs == pg_model_describe(m[1])->macs);
    for (int64_t batch = 1; batch <= 256; batch *= 16) {
        double a = latency(m[0], "tensorrt", batch, PG_TASK_INFERENCE),
               b = latency(m[1], "tensorrt", batch, PG_TASK_INFERENCE);
        if (fabs(a / b - 1) > 0.02) fail_msg("at batch %d: %g ms as Keras, %g ms as TensorFlow Lite", (int)batch, a, b);
    }
    pg_model_free(m[0]);
    pg_model_free(m[1]);
}

/* Weights that a download lacks are nothing that is read: the model is, with a warning. The superblock says how long the file is. */
static void test_cut_off_weights(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t end; /* of file: where its offset stands */
    } files[] = {{"mlp_old_groups.h5", 40}, {"mlp_new_groups.h5", 28}};
    for (size_t i = 0; i < 2; i++)
        for (int cut = 0; cut < 2; cut++) {
            uint8_t bytes[16384];
            char path[256];
            pg_model *m;
            pg_error e = PG_ERROR_INIT;
            snprintf(path, sizeof path, TEST_ROOT "/tests/fuzz/corpora/keras/%s", files[i].name);
            FILE *f = fopen(path, "rb");
            assert_non_null(f);
            size_t n = fread(bytes, 1, sizeof bytes, f);
            fclose(f);
            assert_int_equal(bytes[files[i].end] | bytes[files[i].end + 1] << 8, n);
            bytes[files[i].end + 3] = (uint8_t)cut; /* 16 MB more */
            if (open_memory(&m, bytes, n, NULL, &e)) fail_msg("%s", e.text);
            const pg_model_info *info = pg_model_describe(m);
            bool warned = info->warning_count && strstr(info->warnings[0], "the file is cut off: it has ");
            assert_int_equal(warned, cut);
            assert_true(info->macs > 0);
            pg_model_free(m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_pooling_and_sizes),
        cmocka_unit_test(test_normalisation),
        cmocka_unit_test(test_recurrent),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_keras_hub_layers),
        cmocka_unit_test(test_moving_and_activations),
        cmocka_unit_test(test_keras_hub_backbones),
        cmocka_unit_test(test_backbone_as_a_layer),
        cmocka_unit_test(test_broken_backbones),
        cmocka_unit_test(test_cut_off_weights),
        cmocka_unit_test(test_shared_layer),
        cmocka_unit_test(test_nested_model),
        cmocka_unit_test(test_laid_out_models_are_bounded),
        cmocka_unit_test(test_keras_3),
        cmocka_unit_test(test_keras_2_functions),
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_fixed_batch),
        cmocka_unit_test(test_unknown_layer),
        cmocka_unit_test(test_model_behind_unknown_layer),
        cmocka_unit_test(test_block_of_layers),
        cmocka_unit_test(test_weights_alone),
        cmocka_unit_test(test_recognised_weights),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nested_a_thousand_deep),
        cmocka_unit_test(test_same_image_model),
        cmocka_unit_test(test_same_text_model),
        cmocka_unit_test(test_shared_files),
        cmocka_unit_test(test_shared_conversion),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
