/* The zoo: published parameters and multiply-accumulates, shapes of all operators, names, image sizes, no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "graph/language.h"
#include "graph/shape.h"
#include "zoo/zoo.h"
#include "support/heap.h"

static test_heap heap = {.fail_at = -1};

typedef struct model {
    arena a;
    graph g;
    shapes s;
} model;

static void open_model(model *m, const char *name, int64_t image)
{
    pg_error e = PG_ERROR_INIT;
    const zoo_entry *entry = zoo_find(str_c(name), &e);
    if (!entry) fail_msg("%s: %s", name, e.text);
    arena_init(&m->a, (allocator){heap_resize, &heap}, 0);
    assert_true(graph_init(&m->g, &m->a));
    if (zoo_build(&m->g, entry, &(zoo_options){image}, &e) != PG_E_OK) fail_msg("%s: %s", name, e.text);
}

static void infer(model *m, int64_t batch)
{
    pg_error e = PG_ERROR_INIT;
    int64_t binding[2] = {batch, 0};
    assert_true(m->g.n_symbols <= 2 && m->g.batch_symbol == 0);
    if (shapes_infer(&m->s, &m->g, &(shape_options){.binding = binding}, &m->a, &e) != PG_E_OK)
        fail_msg("%.*s: %s: %s", STR_ARG(m->g.name), e.path, e.text);
}

static double elements(const tensor *t)
{
    double n = 1;
    for (int i = 0; i < t->rank; i++) n *= (double)t->dims[i].v.i;
    return n;
}

/* Every weight of floating type once, except the running statistics of batch normalisation. */
static double parameters(const graph *g)
{
    double total = 0;
    for (uint32_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i].role == ROLE_WEIGHT && dtype_get(g->tensors[i].dtype)->floating)
            total += elements(&g->tensors[i]);
    for (uint32_t i = 0; i < g->n_ops; i++)
        if (g->ops[i].kind == OP_BatchNormalization)
            for (uint32_t k = 3; k < 5; k++) total -= elements(&g->tensors[op_input(g, &g->ops[i], k)]);
    return total;
}

static const tensor_shape *shape_of(const model *m, const op *o, uint32_t input)
{
    return &m->s.t[op_input(&m->g, o, input)];
}

static double dim(const tensor_shape *t, int from_end)
{
    return (double)t->dims[t->rank - from_end].v.i;
}

static double op_macs(const model *m, const op *o)
{
    double out = shape_elements(&m->s.t[op_out(&m->g, o)[0]]);
    switch ((op_kind)o->kind) {
    case OP_Conv: return out * shape_elements(shape_of(m, o, 1)) / (double)shape_of(m, o, 1)->dims[0].v.i;
    case OP_ConvTranspose:
        return shape_elements(shape_of(m, o, 0)) * shape_elements(shape_of(m, o, 1)) /
               (double)shape_of(m, o, 1)->dims[0].v.i;
    case OP_Gemm:
    case OP_MatMul:
    case OP_FusedMatMul: return out * dim(shape_of(m, o, 0), 1);
    case OP_ScaledDotProductAttention: {
        const tensor_shape *q = shape_of(m, o, 0), *k = shape_of(m, o, 1);
        return (shape_elements(q) + out) * dim(k, 2);
    }
    default: return 0;
    }
}

static double macs(const model *m)
{
    double total = 0;
    for (uint32_t i = 0; i < m->g.n_ops; i++) total += op_macs(m, &m->g.ops[i]);
    return total;
}

/* ---- published figures ---- */

/* Sources: TV torchvision's model table (parameters; GFLOPS there are multiply-accumulates), HF the Hugging Face
 * checkpoints, TM timm's results table. Multiply-accumulates are of one image of default size; 0: none published. */
static const struct published {
    const char *name;
    double parameters, gmacs;
} published[] = {
    /* TV */
    {"resnet18", 11689512, 1.81},
    {"resnet34", 21797672, 3.66},
    {"resnet50", 25557032, 4.09},
    {"resnet101", 44549160, 7.80},
    {"resnet152", 60192808, 11.51},
    {"resnext50_32x4d", 25028904, 4.23},
    {"resnext101_32x8d", 88791336, 16.41},
    {"resnext101_64x4d", 83455272, 15.46},
    {"wide_resnet50_2", 68883240, 11.40},
    {"wide_resnet101_2", 126886696, 22.75},
    {"vgg11", 132863336, 7.61},
    {"vgg11_bn", 132868840, 7.61},
    {"vgg13", 133047848, 11.31},
    {"vgg13_bn", 133053736, 11.31},
    {"vgg16", 138357544, 15.47},
    {"vgg16_bn", 138365992, 15.47},
    {"vgg19", 143667240, 19.63},
    {"vgg19_bn", 143678248, 19.63},
    {"alexnet", 61100840, 0.71},
    {"squeezenet1_0", 1248424, 0.82},
    {"squeezenet1_1", 1235496, 0.35},
    {"densenet121", 7978856, 2.83},
    {"densenet161", 28681000, 7.73},
    {"densenet169", 14149480, 3.36},
    {"densenet201", 20013928, 4.29},
    {"mobilenet_v2", 3504872, 0.30},
    {"mobilenet_v3_large", 5483032, 0.22},
    {"mobilenet_v3_small", 2542856, 0.06},
    {"mnasnet0_5", 2218512, 0.10},
    {"mnasnet1_0", 4383312, 0.31},
    {"mnasnet1_3", 6282256, 0.53},
    {"shufflenet_v2_x0_5", 1366792, 0.04},
    {"shufflenet_v2_x1_0", 2278604, 0.14},
    {"shufflenet_v2_x1_5", 3503624, 0.30},
    {"shufflenet_v2_x2_0", 7393996, 0.58},
    {"convnext_tiny", 28589128, 4.46},
    {"convnext_small", 50223688, 8.68},
    {"convnext_base", 88591464, 15.36},
    {"convnext_large", 197767336, 34.36},
    {"efficientnet_b0", 5288548, 0.39},
    {"efficientnet_b1", 7794184, 0.69},
    {"efficientnet_b2", 9109994, 1.09},
    {"efficientnet_b3", 12233232, 1.83},
    {"efficientnet_b4", 19341616, 4.39},
    {"efficientnet_b5", 30389784, 10.27},
    {"efficientnet_b6", 43040704, 19.07},
    {"efficientnet_b7", 66347960, 37.75},
    {"vit_b_16", 86567656, 17.56},
    {"vit_b_32", 88224232, 4.41},
    {"vit_l_16", 304326632, 61.55},
    {"swin_t", 28288354, 4.49},
    {"swin_s", 49606258, 8.74},
    {"swin_b", 87768224, 15.43},
    {"vit_l_32", 306535400, 15.38},
    /* TV's 27161264 hold the auxiliary classifier; inference goes without its 3326696 */
    {"inception_v3", 23834568, 5.71},
    /* TM */
    {"resnext101_32x4d", 44177704, 8.01},
    {"se_resnet50", 28088024, 4.11},
    {"se_resnet152", 66821848, 11.57},
    {"se_resnext50_32x4d", 27559896, 4.26},
    {"vit_base_patch16_384", 86859496, 55.54},
    {"vit_large_patch16_384", 304715752, 0},
    {"vit_small_patch16_224", 22050664, 4.61},
    {"vit_tiny_patch16_224", 5717416, 1.26},
    /* Cadene/pretrained-models.pytorch */
    {"se_resnext101_32x4d", 48955416, 0},
    /* arXiv 1704.04861: 4.2 M and 569 M; the exact count is of TensorFlow's checkpoint */
    {"mobilenet_v1", 4231976, 0.569},
    /* HF */
    {"bert-base-uncased", 109482240, 0},
    {"bert-base-cased", 108310272, 0},
    {"bert-large-uncased", 335141888, 0},
    {"distilbert-base-uncased", 66362880, 0},
    {"roberta-base", 124645632, 0},
    {"roberta-large", 355359744, 0},
    {"gpt2", 124439808, 0},
    {"gpt2-medium", 354823168, 0},
    {"gpt2-large", 774030080, 0},
    {"gpt2-xl", 1557611200, 0},
    {"gpt-j-6b", 6050882784, 0},
    {"llama-7b", 6738415616, 0},
    {"llama-13b", 13015864320, 0},
    {"llama-30b", 32528943616, 0},
    {"llama-65b", 65285660672, 0},
    {"llama-2-7b", 6738415616, 0},
    {"llama-2-13b", 13015864320, 0},
    {"llama-2-70b", 68976648192, 0},
    {"llama-3-8b", 8030261248, 0},
    {"llama-3-70b", 70553706496, 0},
    {"llama-3.1-8b", 8030261248, 0},
    {"llama-3.1-70b", 70553706496, 0},
    {"llama-3.1-405b", 405853388800, 0},
    {"codellama-34b", 33743970304, 0},
    {"tinyllama-1.1b", 1100048384, 0},
    {"mistral-7b", 7241732096, 0},
    /* HF; wav2vec 2.0 and XLNet without the vector that stands for masked positions in training */
    {"electra-small-discriminator", 13483008, 0},
    {"electra-base-discriminator", 108891648, 0},
    {"electra-large-discriminator", 334092288, 0},
    {"albert-base-v2", 11683584, 0},
    {"albert-large-v2", 17683968, 0},
    {"albert-xlarge-v2", 58724864, 0},
    {"albert-xxlarge-v2", 222595584, 0},
    {"all-MiniLM-L6-v2", 22713216, 0},
    {"all-MiniLM-L12-v2", 33360000, 0},
    {"opt-125m", 125239296, 0},
    {"opt-1.3b", 1315758080, 0},
    {"opt-2.7b", 2651596800, 0},
    {"opt-6.7b", 6658473984, 0},
    {"opt-13b", 12853473280, 0},
    {"opt-30b", 29974540288, 0},
    {"opt-66b", 65719701504, 0},
    {"gpt-neo-125m", 125198592, 0},
    {"gpt-neo-1.3B", 1315575808, 0},
    {"gpt-neo-2.7B", 2651307520, 0},
    {"bloom-560m", 559214592, 0},
    {"bloom-1b1", 1065314304, 0},
    {"bloom-1b7", 1722408960, 0},
    {"bloom-3b", 3002557440, 0},
    {"bloom-7b1", 7069016064, 0},
    {"phi-2", 2779683840, 0},
    {"t5-small", 60506624, 0},
    {"t5-base", 222903552, 0},
    {"t5-large", 737668096, 0},
    {"t5-3b", 2851598336, 0},
    {"t5-11b", 11307321344, 0},
    {"flan-t5-small", 76961152, 0},
    {"flan-t5-base", 247577856, 0},
    {"flan-t5-large", 783150080, 0},
    {"flan-t5-xl", 2849757184, 0},
    {"flan-t5-xxl", 11135332352, 0},
    {"deberta-v3-small", 141304320, 0},
    {"deberta-v3-base", 183831552, 0},
    {"deberta-v3-large", 434012160, 0},
    {"bart-base", 139420416, 0},
    {"transformer-base", 60915712, 0},
    {"transformer-big", 209911808, 0}, /* as fairseq prints it; the paper has 213 M with 37000 words */
    {"bart-large", 406291456, 0},
    {"whisper-tiny", 37760640, 0},
    {"whisper-base", 72593920, 0},
    {"whisper-small", 241734912, 0},
    {"whisper-medium", 763857920, 0},
    {"whisper-large-v2", 1543304960, 0},
    {"whisper-large-v3", 1543490560, 0},
    {"whisper-large-v3-turbo", 808878080, 0},
    {"xlnet-base-cased", 116717568, 0},
    {"xlnet-large-cased", 360267776, 0},
    {"wav2vec2-base", 94370944, 0},
    {"wav2vec2-large-lv60", 315437696, 0},
    /* llm-foundry's benchmark tables, which give some of these: the others follow from the same form */
    {"mpt-125m", 125311488, 0},
    {"mpt-350m", 355985408, 0},
    {"mpt-760m", 760470528, 0},
    {"mpt-1b", 1315950592, 0},
    {"mpt-3b", 2651837440, 0},
    {"mpt-7b", 6658859008, 0},
    {"mpt-13b", 12853954560, 0},
    {"mpt-30b", 29975214080, 0},
    {"mpt-70b", 64862437376, 0},
    /* From the dimensions in arXiv 2005.14165, table 2.1, whose own counts have two digits (125 M ... 175 B) and in the case of the
     * second (350 M) are rounded by more; the two of Megatron: from those in FasterTransformer's guide (89 B, 530 B) */
    {"gpt3-small", 125226240, 0},
    {"gpt3-medium", 355871744, 0},
    {"gpt3-large", 760300032, 0},
    {"gpt3-xl", 1315723264, 0},
    {"gpt3-2.7b", 2651553280, 0},
    {"gpt3-6.7b", 6658404352, 0},
    {"gpt3-13b", 12853386240, 0},
    {"gpt3-175b", 174604259328, 0},
    {"gpt-89b", 87635091456, 0},
    {"gpt-530b", 529600819200, 0},
    /* What the papers give: arXiv 1904.03288, 1910.10261, 2010.05646, 1712.05884, 1811.00002 (as NVIDIA counts them) */
    {"jasper", 333e6, 0},
    {"quartznet", 18.9e6, 0},
    {"tacotron2", 28.2e6, 0},
    {"waveglow", 268e6, 0},
    {"hifi-gan", 13.92e6, 0},
    /* What NVIDIA and MLPerf give: 4.2 B, 24 B, 192 M */
    {"transformer-xl-base", 192e6, 0},
    {"transformer-xl-large", 285e6, 0},
    {"dlrm", 4.2e9, 0},
    {"dlrm-mlperf", 24e9, 0},
    /* No count is published: from the dimensions in the code of NVIDIA's DeepLearningExamples and of MLPerf */
    {"electra-base-pretraining", 119749121, 0},
    {"bert-distilled-4l-288d", 12937538, 0},
    {"bert-distilled-6l-768d", 66370562, 0},
    {"gnmt", 160671297, 0},
    {"gnmt-pairs", 160671297, 0},
    {"rnnt", 45323037, 0},
    {"waveglow-256", 87731816, 0},
    {"tacotron2/waveglow", 296193001, 0},
    {"fastpitch", 45261395, 0},
    {"fastspeech", 133190457, 0},
    {"fastspeech-mel", 45458641, 0},
    {"dlrm-dcnv2", 4202814209, 0},
    {"dlrm-dcnv2-mlperf", 24050271617, 0},
    {"ncf", 31832577, 0},
    {"switch-base-8", 619e6, 0},
    {"wide_and_deep", 91777245, 0},
    {"vae-cf", 24511308, 0},
    {"sim", 21282635, 0}, /* and 18001 of the auxiliary loss, in training */
    {"tft", 1617449, 0},
    {"tft-traffic", 1693481, 0},
    {"stable-diffusion-v1-5-unet", 859520964, 0},
    /* HF's four files */
    {"stable-diffusion-xl", 2567463684.0 + 123060480 + 694659840 + 49490199, 0},
    {"stable-diffusion-xl-unet", 2567463684, 0},
    {"stable-diffusion-xl-text-encoder", 123060480, 0},
    {"stable-diffusion-xl-text-encoder-2", 694659840, 0},
    {"stable-diffusion-xl-vae-decoder", 49490199, 0},
    /* arXiv 1708.02182, table 1: 66 M and 20 M, which is all the digits that there are. The second from the widths:
     * two tables of 10000 x 650, 10000 biases, two layers of 4 gates with two matrices of 650 x 650 and two biases */
    {"lstm-large", 66e6, 0},
    {"lstm-medium", 2 * 10000 * 650 + 10000 + 2 * 4 * (2 * 650 * 650 + 2 * 650), 0},
    /* Open Model Zoo: 6.807 M and 2.494 GFLOPs, with batch normalisation folded into the convolutions */
    {"ssd_mobilenet_v1", 6.807e6, 1.247},
    /* milesial/Pytorch-UNet with two classes */
    {"unet", 31037698, 0},
    /* TV */
    {"efficientnet_v2_s", 21458488, 8.37},
    {"efficientnet_v2_m", 54139356, 24.58},
    {"efficientnet_v2_l", 118515272, 56.08},
    {"regnet_x_400mf", 5495976, 0.41},
    {"regnet_x_800mf", 7259656, 0.80},
    {"regnet_x_1_6gf", 9190136, 1.60},
    {"regnet_x_3_2gf", 15296552, 3.18},
    {"regnet_x_8gf", 39572648, 8.00},
    {"regnet_x_16gf", 54278536, 15.94},
    {"regnet_x_32gf", 107811560, 31.74},
    {"regnet_y_400mf", 4344144, 0.40},
    {"regnet_y_800mf", 6432512, 0.83},
    {"regnet_y_1_6gf", 11202430, 1.61},
    {"regnet_y_3_2gf", 19436338, 3.18},
    {"regnet_y_8gf", 39381472, 8.47},
    {"regnet_y_16gf", 83590140, 15.91},
    {"regnet_y_32gf", 145046770, 32.28},
    {"deeplabv3_resnet50", 42004074, 178.72},
    {"deeplabv3_resnet101", 60996202, 258.74},
    {"fcn_resnet50", 35322218, 152.72},
    {"fcn_resnet101", 54314346, 232.74},
    {"swin_v2_t", 28351570, 5.94},
    {"swin_v2_s", 49737442, 11.55},
    {"swin_v2_b", 87930848, 20.32},
    /* TM */
    {"swin_l", 196532476, 34.53},
    {"swinv2_tiny_window16_256", 28.35e6, 6.68},
    {"swinv2_small_window16_256", 49.73e6, 12.82},
    {"swinv2_base_window16_256", 87.92e6, 22.02},
    {"swinv2_large_window16_256", 196.74e6, 47.81},
    {"swinv2_base_window24_384", 87.92e6, 55.25},
    /* ultralytics: summaries of the models with batch normalisation apart; half of the GFLOPs */
    {"yolov5n", 1872157, 2.25},
    {"yolov5s", 7235389, 8.25},
    {"yolov5m", 21190557, 24.5},
    {"yolov5l", 46563709, 54.55},
    {"yolov5x", 86749405, 102.85},
    {"yolov8n", 3157200, 4.45},
    {"yolov8s", 11166560, 14.4},
    {"yolov8m", 25902640, 39.65},
    {"yolov8l", 43691520, 82.85},
    {"yolov8x", 68229648, 129.25},
    {"mnasnet0_75", 3170208, 0.21},
    {"vit_h_14", 632045800, 167.29},
    {"googlenet", 6624904, 1.50},
    /* TM */
    {"inception_v4", 42679816, 12.28},
    /* TV */
    {"ssd300_vgg16", 35641826, 34.86},
    /* detectron2's tests: 117 GMACs at 800 x 800 for trunk, pyramid and proposals, so 197.4 here; 5 more for strides
     * on 3x3 convolutions, 14.4 for the head on 1000 proposals */
    {"fasterrcnn_resnet50_fpn", 41755286 + 53120, 216.7},
    /* arXiv 2205.00841. P0 and P1 from the widths in the authors' files. Left out, and not explained: D1's 3.66 GMACs,
     * where its file at 456 pixels makes 4.29 */
    {"gpunet_0", 11.9e6, 3.25},
    {"gpunet_1", 12.7e6, 3.3},
    {"gpunet_2", 25.8e6, 0},
    {"gpunet_p0", 22.8e6, 0},
    {"gpunet_p1", 39.9e6, 0},
    {"gpunet_d1", 10.6e6, 0},
    {"gpunet_d2", 19e6, 15.6},
    /* From the widths: 8543296 up to conv4, 3773696 in the additional layers, 10577910 in the predictors */
    {"ssd300_resnet50", 22.9e6, 0},
    /* Open Model Zoo: 20.058 M and 433.411 GFLOPs */
    {"ssd-resnet34-1200", 20.058e6, 216.7},
    /* TV's 34014999 go without the scales and shifts of frozen batch normalisations, and so does the next but one */
    {"retinanet_resnet50_fpn", 34014999 + 53120, 151.54},
    /* From the widths: the same on ResNeXt-50, with 264 classes */
    {"retinanet_resnext50_32x4d_fpn", 37.1e6, 0},
    /* Open Model Zoo at 640 pixels: 178.6807 GFLOPs, and 56.9326 M with batch normalisation folded and the heads (4
     * times 8 x 590080 and 570 x 2305 less here) once for each of five maps */
    {"ssd320_resnet50_fpn", 32.84e6, 22.335},
    /* TV's 44401393 of 91 classes, here 81. Work: Faster R-CNN's above, and a mask head on 100 detections, 53 G */
    {"mask_rcnn_r50_fpn", 44401393 - 10 * (5 * 1025 + 257) + 53120, 269.7},
    /* Work: arXiv 1911.09070. Parameters from the widths: the paper rounds to 3.9, 6.6, 8.1, 12 and 20.7 M */
    {"efficientdet_d0", 3.88e6, 2.5},
    {"efficientdet_d1", 6.62e6, 6.1},
    {"efficientdet_d2", 8.09e6, 11},
    {"efficientdet_d3", 12.02e6, 25},
    {"efficientdet_d4", 20.72e6, 55},
    /* From the widths */
    {"nnunet_2d", 20.6e6, 0},
    {"nnunet_3d", 31.2e6, 0},
    {"3d-unet", 31.2e6, 0},
    {"3d-unet-kits19", 31.2e6, 0},
    /* From the widths in the code, whose comment has 1824945: 1.4 % fewer, not explained */
    {"unet_industrial", 1.85e6, 0},
    {"vnet", 3.6e6, 0},
    {"unet_3d_medical", 31.2e6, 0},
    /* 31030658 have up-convolutions of 2 x 2; of 3 x 3 they are 5 x 696320 more */
    {"unet_medical", 31030658 + 5 * 696320, 0},
    /* From the widths: only the two layers of squeeze and excitation are wider */
    {"efficientnet_widese_b0", 8.42e6, 0.39},
    {"efficientnet_widese_b4", 34.93e6, 4.4},
    /* From the widths: 134.2 M in ten bond flows, 6.9 M in 38 atom flows */
    {"moflow", 141.1e6, 0},
    /* From the widths: six layers of 1443168 in the networks that make kernels, and one such of 525664 */
    {"se3_transformer", 9279553, 0},
};
enum { PUBLISHED = sizeof published / sizeof *published };

static void test_parameters(void **state)
{
    (void)state;
    bool wrong = false;
    for (size_t i = 0; i < PUBLISHED; i++) {
        const struct published *p = &published[i];
        model m;
        open_model(&m, p->name, 0);
        double n = parameters(&m.g);
        if (!(n >= p->parameters * 0.995 && n <= p->parameters * 1.005)) {
            print_error("%s: %.0f parameters, published are %.0f\n", p->name, n, p->parameters);
            wrong = true;
        }
        arena_free(&m.a);
    }
    assert_false(wrong);
    assert_int_equal(heap.live, 0);
}

/* Where a source counts every parameter, we do too. */
static void test_parameters_exactly(void **state)
{
    (void)state;
    bool wrong = false;
    for (size_t i = 0; i < PUBLISHED; i++) {
        const struct published *p = &published[i];
        if (fmod(p->parameters, 1000) == 0) continue;
        model m;
        open_model(&m, p->name, 0);
        double n = parameters(&m.g);
        if (n != p->parameters) print_error("%s: %.0f parameters, published are %.0f\n", p->name, n, p->parameters);
        wrong = wrong || n != p->parameters;
        arena_free(&m.a);
    }
    assert_false(wrong);
}

static void test_table(void **state)
{
    (void)state;
    size_t built = 0;
    for (size_t i = 0; i < zoo_count(); i++) built += !zoo_at(i)->config;
    assert_int_equal(built, PUBLISHED);
    assert_null(zoo_at(zoo_count()));
    for (size_t i = 0; i < zoo_count(); i++) {
        const zoo_entry *z = zoo_at(i);
        if (z->config) continue; /* test_builtin has those */
        model m;
        open_model(&m, z->name, 0);
        double n = parameters(&m.g), told = (double)z->parameters;
        if (!(n >= told * 0.98 && n <= told * 1.02))
            fail_msg("%s: %.0f parameters, the table has %.0f", z->name, n, told);
        bool rows = !strcmp(z->family, "recommender") || !strcmp(z->family, "forecasting") ||
                    !strcmp(z->family, "graph");
        if (strcmp(z->name, "moflow") != 0) assert_true(z->image_size || z->sequence || rows); /* it takes noise */
        assert_true(z->description && z->source && z->family);
        assert_true(m.g.regions[0].n_inputs > 0 && m.g.regions[0].n_outputs > 0);
        arena_free(&m.a);
    }
}

static void test_macs(void **state)
{
    (void)state;
    bool wrong = false;
    for (size_t i = 0; i < PUBLISHED; i++) {
        const struct published *p = &published[i];
        if (p->gmacs <= 0) continue;
        model m;
        open_model(&m, p->name, 0);
        infer(&m, 1);
        /* Published with two decimals, some tools count biases, pooling or normalisation as well */
        double n = macs(&m) / 1e9, slack = 0.0051 + 0.03 * p->gmacs;
        if (n < p->gmacs - slack || n > p->gmacs + slack) {
            print_error("%s: %.4f GMACs, published are %.4f\n", p->name, n, p->gmacs);
            wrong = true;
        }
        arena_free(&m.a);
    }
    assert_false(wrong);
}

/* The figure that many tools print for this one. */
static void test_macs_exactly(void **state)
{
    (void)state;
    model m;
    open_model(&m, "resnet50", 0);
    infer(&m, 1);
    assert_true(macs(&m) == 4089184256.0);
    infer(&m, 8);
    assert_true(macs(&m) == 8 * 4089184256.0);
    arena_free(&m.a);
}

/* A picture takes 20 steps with and without the text: the parts, weighted, are the whole. */
static void test_loop_rounds(void **state)
{
    (void)state;
    model m;
    open_model(&m, "stable-diffusion-xl", 0);
    infer(&m, 3);
    assert_int_equal(m.g.n_regions, 2);
    assert_true(m.s.trips[1].v.i == 20 && m.s.trips[1].sym == SYM_NONE);
    double whole = 0, step = 0;
    for (uint32_t r = 0; r < 2; r++)
        for (uint32_t i = 0; i < m.g.regions[r].n_ops; i++)
            *(r ? &step : &whole) += op_macs(&m, &m.g.ops[m.g.regions[r].ops[i]]);
    arena_free(&m.a);
    open_model(&m, "stable-diffusion-xl-unet", 0);
    infer(&m, 6);
    double rows = 5 * (320.0 * 1280 + 1280 * 1280); /* the step's number enters once, not for each picture */
    assert_true(fabs(step - (macs(&m) - rows)) < 1e-9 * step);
    arena_free(&m.a);
    assert_true(whole > 0 && whole < step);
}

/* ---- shapes ---- */

/* Whose first result has a row for every token; of speech other lengths come out than went in. */
static bool is_text(const zoo_entry *z)
{
    return z->sequence && strcmp(z->family, "speech") != 0;
}

static void check_shapes(const char *name, int64_t batch)
{
    model m;
    open_model(&m, name, 0);
    infer(&m, batch);
    for (uint32_t i = 0; i < m.g.n_ops; i++) {
        const op *o = &m.g.ops[i];
        for (uint32_t k = 0; k < o->n_out; k++)
            if (shape_elements(&m.s.t[op_out(&m.g, o)[k]]) <= 0)
                fail_msg("%s: output %u of %.*s '%.*s' has no shape", name, k, STR_ARG(o->type), STR_ARG(o->name));
    }
    assert_int_equal(m.s.unknown_outputs, 0);
    for (uint32_t i = 0; i < m.g.regions[0].n_outputs; i++) {
        const tensor_shape *t = &m.s.t[m.g.regions[0].outputs[i]];
        if (t->rank < 2 || t->dims[0].v.i != batch || t->dims[0].sym != m.g.batch_symbol)
            fail_msg("%s: output %u does not start with the batch", name, i);
        assert_true(dtype_get(t->dtype)->floating || t->dtype == DT_INT64); /* words */
        bool text = is_text(zoo_find(str_c(name), NULL)) && t->rank == 3;
        if (text && t->dims[1].sym != graph_symbol_find(&m.g, STR("sequence")))
            fail_msg("%s: output %u does not follow the length of the text", name, i);
    }
    arena_free(&m.a);
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < zoo_count(); i++) {
        if (zoo_at(i)->config) continue;
        check_shapes(zoo_at(i)->name, 1);
        check_shapes(zoo_at(i)->name, 4);
    }
    assert_int_equal(heap.live, 0);
}

static void expect_output(const char *name, int64_t image, uint32_t output, int rank, const int64_t *dims)
{
    model m;
    open_model(&m, name, image);
    infer(&m, 4);
    const tensor_shape *t = &m.s.t[m.g.regions[0].outputs[output]];
    if (t->rank != rank) fail_msg("%s: rank %d", name, t->rank);
    for (int i = 0; i < rank; i++)
        if (t->dims[i].v.i != dims[i]) fail_msg("%s: dim %d is %lld", name, i, (long long)t->dims[i].v.i);
    arena_free(&m.a);
}

static void test_outputs(void **state)
{
    (void)state;
    expect_output("resnet50", 0, 0, 2, (int64_t[]){4, 1000});
    expect_output("resnet50", 512, 0, 2, (int64_t[]){4, 1000});
    expect_output("vgg16", 320, 0, 2, (int64_t[]){4, 1000});
    expect_output("inception_v3", 0, 0, 2, (int64_t[]){4, 1000});
    expect_output("vit_b_16", 384, 0, 2, (int64_t[]){4, 1000});
    expect_output("bert-base-uncased", 0, 0, 3, (int64_t[]){4, 128, 768});
    expect_output("bert-base-uncased", 0, 1, 2, (int64_t[]){4, 768});
    expect_output("roberta-large", 0, 0, 3, (int64_t[]){4, 128, 1024});
    expect_output("gpt2", 0, 0, 3, (int64_t[]){4, 512, 50257});
    expect_output("llama-70b", 0, 0, 3, (int64_t[]){4, 512, 32000});
    expect_output("albert", 0, 1, 2, (int64_t[]){4, 768});
    expect_output("gpt3-xl", 0, 0, 3, (int64_t[]){4, 512, 50257});
    expect_output("bloom-560m", 0, 0, 3, (int64_t[]){4, 512, 250880});
    expect_output("t5-base", 0, 0, 3, (int64_t[]){4, 128, 32128});
    expect_output("facebook/bart-large", 0, 0, 3, (int64_t[]){4, 128, 50265});
    expect_output("openai/whisper-tiny", 0, 0, 3, (int64_t[]){4, 64, 51865});
    expect_output("xlnet", 0, 0, 3, (int64_t[]){4, 128, 768});
    expect_output("transformer-xl-base", 0, 0, 3, (int64_t[]){4, 192, 19997});
    expect_output("transformer-xl-large", 0, 0, 3, (int64_t[]){4, 384, 19997});
    expect_output("transformer-big", 0, 0, 3, (int64_t[]){4, 32, 32768});
    expect_output("switch-base-8", 0, 0, 3, (int64_t[]){4, 128, 32128});
    expect_output("deberta-v3-base", 0, 0, 3, (int64_t[]){4, 128, 768});
    expect_output("gnmt", 0, 0, 2, (int64_t[]){4, 32});
    expect_output("gnmt", 0, 1, 2, (int64_t[]){4, 5}); /* beams */
    expect_output("gnmt-pairs", 0, 0, 3, (int64_t[]){4, 32, 32320});
    expect_output("jasper", 0, 0, 3, (int64_t[]){4, 350, 29});     /* of 7 s: a letter each 20 ms */
    expect_output("rnnt", 0, 0, 3, (int64_t[]){4, 240, 29});       /* frames of 60 ms, and as many letters */
    expect_output("wav2vec2", 0, 0, 3, (int64_t[]){4, 500, 768});  /* 10 s */
    expect_output("tacotron2", 0, 0, 3, (int64_t[]){4, 80, 602});  /* 4.7 frames a character */
    expect_output("waveglow", 0, 0, 2, (int64_t[]){4, 600 * 256}); /* samples */
    expect_output("tacotron2/waveglow", 0, 0, 2, (int64_t[]){4, 602 * 256});
    expect_output("hifi-gan", 0, 0, 3, (int64_t[]){4, 1, 600 * 256});
    expect_output("fastspeech", 0, 0, 2, (int64_t[]){4, 602 * 256});
    expect_output("fastpitch", 0, 0, 3, (int64_t[]){4, 602, 80});
    expect_output("dlrm", 0, 0, 2, (int64_t[]){4, 1});
    expect_output("ncf", 0, 0, 2, (int64_t[]){4, 1});
    expect_output("vae-cf", 0, 0, 2, (int64_t[]){4, 20108});
    expect_output("sim", 0, 0, 2, (int64_t[]){4, 1});
    expect_output("tft", 0, 0, 3, (int64_t[]){4, 24, 3});
    expect_output("lstm", 0, 0, 3, (int64_t[]){4, 35, 10000});
    expect_output("ssd_mobilenet_v1", 0, 0, 3, (int64_t[]){4, 1917, 4});
    expect_output("ssd_mobilenet_v1", 0, 1, 3, (int64_t[]){4, 1917, 91});
    expect_output("unet", 0, 0, 4, (int64_t[]){4, 2, 512, 512});
    expect_output("ssd300_resnet50", 0, 0, 3, (int64_t[]){4, 4, 8732});
    expect_output("ssd300_resnet50", 0, 1, 3, (int64_t[]){4, 81, 8732});
    expect_output("ssd-resnet34-1200", 0, 0, 3, (int64_t[]){4, 200, 4});
    expect_output("retinanet-mlperf", 0, 0, 3, (int64_t[]){4, 1000, 4});
    expect_output("mask_rcnn", 0, 0, 3, (int64_t[]){4, 100, 4});
    expect_output("ssd300_vgg16", 0, 0, 3, (int64_t[]){4, 200, 4});
    expect_output("faster_rcnn", 0, 0, 3, (int64_t[]){4, 100, 4});
    expect_output("mask_rcnn", 0, 1, 5, (int64_t[]){4, 100, 81, 28, 28});
    expect_output("efficientdet_d0", 0, 0, 3, (int64_t[]){4, 100, 4});
    expect_output("nnunet_2d", 0, 0, 4, (int64_t[]){4, 4, 192, 160});
    expect_output("3d-unet", 0, 0, 5, (int64_t[]){4, 4, 224, 224, 160});
    expect_output("unet_industrial", 0, 0, 4, (int64_t[]){4, 1, 512, 512});
    expect_output("yolov5s", 0, 0, 3, (int64_t[]){4, 25200, 85});
    expect_output("yolov8n", 0, 0, 3, (int64_t[]){4, 84, 8400});
    expect_output("deeplabv3_resnet50", 0, 0, 4, (int64_t[]){4, 21, 520, 520});
    expect_output("fcn_resnet50", 0, 1, 4, (int64_t[]){4, 21, 520, 520});
    expect_output("swin_v2_t", 0, 0, 2, (int64_t[]){4, 1000});
    expect_output("unet_medical", 0, 0, 4, (int64_t[]){4, 2, 388, 388});
    expect_output("vnet", 0, 0, 5, (int64_t[]){4, 3, 32, 32, 32});
    expect_output("moflow", 0, 0, 4, (int64_t[]){4, 4, 40, 40});
    expect_output("moflow", 0, 1, 3, (int64_t[]){4, 40, 10});
    expect_output("se3_transformer", 0, 0, 2, (int64_t[]){4, 1});
    expect_output("sdxl", 0, 0, 4, (int64_t[]){4, 3, 1024, 1024});
    expect_output("sdxl", 512, 0, 4, (int64_t[]){4, 3, 512, 512});
    expect_output("sdxl-unet", 0, 0, 4, (int64_t[]){4, 4, 128, 128});
    expect_output("sdxl-vae-decoder", 0, 0, 4, (int64_t[]){4, 3, 1024, 1024});
    expect_output("sd15-unet", 0, 0, 4, (int64_t[]){4, 4, 64, 64});
    expect_output("sd15-unet", 768, 0, 4, (int64_t[]){4, 4, 96, 96});
}

/* What is made step by step is costed so often. */
static void expect_steps(const char *name, int64_t length, int64_t steps)
{
    model m;
    pg_error e = PG_ERROR_INIT;
    int64_t binding[2] = {3, length};
    open_model(&m, name, 0);
    if (shapes_infer(&m.s, &m.g, &(shape_options){.binding = binding}, &m.a, &e) != PG_E_OK) fail_msg("%s", e.text);
    assert_int_equal(m.g.n_regions, 2);
    assert_int_equal(m.s.trips[1].v.i, steps);
    arena_free(&m.a);
}

static void test_steps(void **state)
{
    (void)state;
    expect_steps("tacotron2", 128, 602);
    expect_steps("tacotron2", 10, 48);
    expect_steps("rnnt", 120, 240);
    expect_steps("gnmt", 21, 21);
}

/* Layers that share their weights have them once, and each layer's work all the same. */
static void test_shared_weights(void **state)
{
    (void)state;
    model shared, own;
    open_model(&shared, "albert-base-v2", 0);
    open_model(&own, "bert-base-uncased", 0);
    infer(&shared, 1);
    infer(&own, 1);
    assert_true(parameters(&shared.g) * 9 < parameters(&own.g));
    assert_true(macs(&shared) >= macs(&own));
    arena_free(&shared.a);
    arena_free(&own.a);
}

/* Texts of any length, also of one token and of more than the model was trained for, from one graph. */
static void test_lengths(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 77, 3000};
    for (size_t i = 0; i < zoo_count(); i++) {
        if (!zoo_at(i)->sequence || zoo_at(i)->config) continue;
        model m;
        open_model(&m, zoo_at(i)->name, 0);
        for (size_t k = 0; k < 3; k++) {
            pg_error e = PG_ERROR_INIT;
            int64_t binding[2] = {2, lengths[k]};
            if (shapes_infer(&m.s, &m.g, &(shape_options){.binding = binding}, &m.a, &e) != PG_E_OK)
                fail_msg("%s: %s: %s", zoo_at(i)->name, e.path, e.text);
            if (is_text(zoo_at(i))) assert_int_equal(m.s.t[m.g.regions[0].outputs[0]].dims[1].v.i, lengths[k]);
            assert_int_equal(m.s.unknown_outputs, 0);
        }
        arena_free(&m.a);
    }
}

/* The smallest sizes that an entry allows still leave something to compute everywhere. */
static void test_smallest_images(void **state)
{
    (void)state;
    for (size_t i = 0; i < zoo_count(); i++) {
        const zoo_entry *z = zoo_at(i);
        if (!z->image_size) continue;
        assert_true(z->image_min > 0 && z->image_step > 0 && z->image_size % z->image_step == 0);
        model m;
        open_model(&m, z->name, z->image_min);
        infer(&m, 2);
        for (uint32_t t = 0; t < m.g.n_tensors; t++)
            if (m.s.t[t].rank > 0 && shape_elements(&m.s.t[t]) <= 0)
                fail_msg("%s at %d: '%.*s' is empty", z->name, z->image_min, STR_ARG(m.g.tensors[t].name));
        arena_free(&m.a);
    }
}

static void test_image_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t size;
        pg_code code;
    } cases[] = {{"resnet50", 31, PG_E_USAGE},  {"resnet50", -1, PG_E_USAGE},    {"resnet50", INT64_MAX, PG_E_USAGE},
                 {"vit_b_16", 225, PG_E_USAGE}, {"vit_b_16", 240, PG_E_OK},      {"unet", 572, PG_E_USAGE},
                 {"sd15-unet", 96, PG_E_USAGE}, {"sd15-unet", 768, PG_E_OK},     {"gpt2", 17, PG_E_OK},
                 {"resnet50", 16384, PG_E_OK},  {"inception_v3", 74, PG_E_USAGE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pg_error e = PG_ERROR_INIT;
        arena a;
        graph g;
        arena_init(&a, (allocator){heap_resize, &heap}, 0);
        assert_true(graph_init(&g, &a));
        pg_code code = zoo_build(&g, zoo_find(str_c(cases[i].name), NULL), &(zoo_options){cases[i].size}, &e);
        if (code != cases[i].code) fail_msg("%s at %lld: %s", cases[i].name, (long long)cases[i].size, e.text);
        assert_int_equal(code != PG_E_OK, e.text[0] != '\0');
        arena_free(&a);
    }
}

/* ---- names ---- */

static int by_text(const void *a, const void *b)
{
    const str *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int c = memcmp(x->ptr, y->ptr, n);
    return c ? c : (x->len > y->len) - (x->len < y->len);
}

static void test_node_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < zoo_count(); i++) {
        if (zoo_at(i)->config) continue;
        model m;
        open_model(&m, zoo_at(i)->name, 0);
        str *names = malloc(m.g.n_ops * sizeof *names);
        assert_non_null(names);
        for (uint32_t k = 0; k < m.g.n_ops; k++) names[k] = m.g.ops[k].name;
        qsort(names, m.g.n_ops, sizeof *names, by_text);
        for (uint32_t k = 0; k < m.g.n_ops; k++) {
            assert_true(names[k].len > 0 && names[k].len < 120);
            if (k && str_eq(names[k], names[k - 1]))
                fail_msg("%s: two nodes '%.*s'", zoo_at(i)->name, STR_ARG(names[k]));
        }
        free(names);
        arena_free(&m.a);
    }
    model m;
    open_model(&m, "resnet18", 0);
    bool found = false;
    for (uint32_t k = 0; k < m.g.n_ops; k++) found = found || str_is(m.g.ops[k].name, "layer1.0.conv1");
    assert_true(found);
    arena_free(&m.a);
}

/* Operators come in the order in which they run, and read what was made before. */
static void test_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < zoo_count(); i++) {
        if (zoo_at(i)->config) continue;
        model m;
        open_model(&m, zoo_at(i)->name, 0);
        bool *made = calloc(m.g.n_tensors, sizeof *made);
        assert_non_null(made);
        for (uint32_t t = 0; t < m.g.n_tensors; t++) made[t] = m.g.tensors[t].role != ROLE_VALUE;
        for (uint32_t r = 1; r < m.g.n_regions; r++) /* what the steps of a loop hand on */
            for (uint32_t t = 0; t < m.g.regions[r].n_inputs; t++) made[m.g.regions[r].inputs[t]] = true;
        for (uint32_t k = 0; k < m.g.n_ops; k++) {
            const op *o = &m.g.ops[k];
            for (uint32_t t = 0; t < o->n_in; t++)
                assert_true(op_in(&m.g, o)[t] == NO_TENSOR || made[op_in(&m.g, o)[t]]);
            for (uint32_t t = 0; t < o->n_out; t++) made[op_out(&m.g, o)[t]] = true;
        }
        for (uint32_t t = 0; t < m.g.regions[0].n_outputs; t++) assert_true(made[m.g.regions[0].outputs[t]]);
        free(made);
        arena_free(&m.a);
    }
}

static void expect_found(const char *typed, const char *name)
{
    pg_error e = PG_ERROR_INIT;
    const zoo_entry *z = zoo_find(str_c(typed), &e);
    if (!z) fail_msg("%s: %s", typed, e.text);
    assert_string_equal(z->name, name);
}

static void test_find(void **state)
{
    (void)state;
    expect_found("resnet50", "resnet50");
    expect_found("ResNet-50", "resnet50");
    expect_found("VGG-16", "vgg16");
    expect_found("bert-base", "bert-base-uncased");
    expect_found("bert_base", "bert-base-uncased");
    expect_found("vit_base_patch16_224", "vit_b_16");
    expect_found("google/vit-base-patch16-224", "vit_b_16");
    expect_found("llama-70b", "llama-2-70b");
    expect_found("meta-llama/Llama-2-7b-hf", "llama-2-7b");
    expect_found("ssd-mobilenet-v1", "ssd_mobilenet_v1");
    expect_found("stable-diffusion", "stable-diffusion-v1-5-unet");
    expect_found("lstm", "lstm-large");
    expect_found("google/electra-base-discriminator", "electra-base-discriminator");
    expect_found("mosaicml/mpt-7b", "mpt-7b");
    expect_found("openai/whisper-large-v3", "whisper-large-v3");
    expect_found("gpt-6.7b", "gpt3-6.7b");
    expect_found("tacotron2/waveglow", "tacotron2/waveglow");
    expect_found("efficientnet-b4", "efficientnet_b4");
    expect_found("gpunet_225ms-d", "gpunet_d2");
    expect_found("nnunet", "nnunet_3d");
    expect_found("swinv2_base window24 384", "swinv2_base_window24_384");
    expect_found("swin_tiny_224/256", "swin_t");
    /* these two differ in a character that elsewhere doesn't count */
    expect_found("regnet_x_1_6gf", "regnet_x_1_6gf");
    expect_found("regnet_x_16gf", "regnet_x_16gf");
    expect_found("RegNet-X-16GF", "regnet_x_16gf");
    expect_found("regnetx-16gf", "regnet_x_16gf");
    expect_found("ssd-resnet34-1200", "ssd-resnet34-1200");
}

static void expect_missing(str typed, const char *said)
{
    pg_error e = PG_ERROR_INIT;
    assert_null(zoo_find(typed, NULL));
    assert_null(zoo_find(typed, &e));
    assert_int_equal(e.code, PG_E_NOT_FOUND);
    if (!strstr(e.text, said)) fail_msg("'%s' does not say '%s'", e.text, said);
}

static void test_did_you_mean(void **state)
{
    (void)state;
    expect_missing(STR("resnet500"), "did you mean 'resnet50'?");
    expect_missing(STR("resnte18"), "did you mean 'resnet18'?");
    expect_missing(STR("gpt-2-larg"), "did you mean 'gpt2-large'?");
    expect_missing(STR("mobilnet_v2"), "did you mean 'mobilenet_v2'?");
    expect_missing(STR("something else entirely"), "some that are");
    expect_missing(STR(""), "some that are");
    expect_missing(STR("x"), "some that are");
    expect_missing(STR("- _"), "some that are");
    char longest[200];
    memset(longest, 'r', sizeof longest);
    expect_missing((str){longest, sizeof longest}, "some that are");
}

/* No two entries answer to one name. */
static void test_names_are_distinct(void **state)
{
    (void)state;
    for (size_t i = 0; i < zoo_count(); i++) {
        const zoo_entry *z = zoo_at(i);
        assert_ptr_equal(zoo_find(str_c(z->name), NULL), z);
        for (const char *p = z->aliases; *p;) {
            size_t n = strcspn(p, " ");
            if (zoo_find((str){p, n}, NULL) != z) fail_msg("%s: another entry has '%.*s'", z->name, (int)n, p);
            p += n + (p[n] == ' ');
        }
    }
}

/* ---- language models ---- */

/* What the dimensions count must be what the graph's weights hold. */
static void test_languages(void **state)
{
    (void)state;
    size_t seen = 0;
    for (size_t i = 0; i < zoo_count(); i++) {
        if (zoo_at(i)->config) continue;
        model m;
        open_model(&m, zoo_at(i)->name, 0);
        const language_model *l = m.g.language;
        double head = 0; /* of question answering */
        if (!strcmp(zoo_at(i)->name, "bert-distilled-4l-288d")) head = 2 * 288 + 2;
        if (!strcmp(zoo_at(i)->name, "bert-distilled-6l-768d")) head = 2 * 768 + 2;
        if (l && l->parameters + head != parameters(&m.g))
            fail_msg("%s: %.0f by its dimensions, %.0f in the graph", zoo_at(i)->name, l->parameters, parameters(&m.g));
        if (l) assert_true(l->active_parameters <= l->parameters && lm_depth(l->layers, l->n_layers) > 0);
        seen += l != NULL;
        arena_free(&m.a);
    }
    assert_true(seen > 80);
}

static void test_language_sizes(void **state)
{
    (void)state;
    model m;
    open_model(&m, "llama-3-8b", 0);
    const language_model *l = m.g.language;
    assert_int_equal(lm_depth(l->layers, l->n_layers), 32);
    assert_true(lm_cache_elements(l->layers) == 2 * 8 * 128); /* 128 KB a token in all layers at two bytes */
    assert_true(lm_weight_bytes(l) == 2.0 * 8030261248);
    assert_int_equal(lm_cache_tokens(l->layers, 5000), 5000);
    assert_int_equal(lm_cache_tokens(&(lm_layer){.window = 4096}, 5000), 4096);
    arena_free(&m.a);
    open_model(&m, "switch-base-8", 0);
    l = m.g.language;
    /* 7 of 8 experts in 6 of 12 layers of both stacks are idle. */
    assert_true(l->parameters - l->active_parameters == 7.0 * 12 * 2 * 768 * 3072);
    arena_free(&m.a);
}

/* ---- lack of memory ---- */

static void sweep(const char *name)
{
    const zoo_entry *z = zoo_find(str_c(name), NULL);
    for (long at = 0;; at++) {
        pg_error e = PG_ERROR_INIT;
        test_heap h = {.fail_at = at};
        arena a;
        graph g;
        arena_init(&a, (allocator){heap_resize, &h}, 0);
        pg_code code = graph_init(&g, &a) ? zoo_build(&g, z, NULL, &e) : PG_E_NOMEM;
        bool all = h.calls < at;
        if (code != (all ? PG_E_OK : code)) fail_msg("%s: %s", name, e.text);
        assert_true(code == PG_E_OK || code == PG_E_NOMEM);
        arena_free(&a);
        assert_int_equal(h.live, 0);
        if (code == PG_E_OK) break;
    }
}

/* A limit fails at other places than the allocator does: between any two objects near the end of a block. */
static void sweep_limit(const char *name, size_t step)
{
    const zoo_entry *z = zoo_find(str_c(name), NULL);
    for (size_t limit = 1;; limit += step) {
        arena a;
        graph g;
        arena_init(&a, (allocator){heap_resize, &heap}, limit);
        pg_code code = graph_init(&g, &a) ? zoo_build(&g, z, NULL, NULL) : PG_E_NOMEM;
        arena_free(&a);
        if (code == PG_E_OK) break;
    }
}

static void test_lack_of_memory(void **state)
{
    (void)state;
    long live = heap.live;
    for (size_t i = 0; i < zoo_count(); i++)
        if (!zoo_at(i)->config) sweep(zoo_at(i)->name);
    static const char *const some[] = {"mobilenet_v2", "vit_b_16", "roberta-base", "gpt2",
                                       "llama-7b",     "lstm",     "ssd",          "sd15-unet"};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) sweep_limit(some[i], 4099);
    assert_int_equal(heap.live, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),     cmocka_unit_test(test_parameters_exactly),
        cmocka_unit_test(test_table),          cmocka_unit_test(test_macs),
        cmocka_unit_test(test_macs_exactly),   cmocka_unit_test(test_loop_rounds),
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_steps),          cmocka_unit_test(test_shared_weights),
        cmocka_unit_test(test_languages),      cmocka_unit_test(test_language_sizes),
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_smallest_images),
        cmocka_unit_test(test_image_sizes),    cmocka_unit_test(test_node_names),
        cmocka_unit_test(test_order),          cmocka_unit_test(test_find),
        cmocka_unit_test(test_did_you_mean),   cmocka_unit_test(test_names_are_distinct),
        cmocka_unit_test(test_lack_of_memory),
    };
    return cmocka_run_group_tests_name("zoo", tests, NULL, NULL);
}
