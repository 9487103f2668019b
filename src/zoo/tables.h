/* The tables of entries, one a builder file. zoo.c lists them in the order in which people see them. */
#ifndef ZOO_TABLES_H
#define ZOO_TABLES_H

#include "zoo/nn.h"

typedef struct zoo_table {
    const zoo_entry *rows;
    size_t count;
} zoo_table;

extern const zoo_table zoo_resnet, zoo_mobile, zoo_shufflenet, zoo_convnext, zoo_efficientnet, zoo_classic,
    zoo_inception, zoo_gpunet, zoo_efficientnet_v2, zoo_regnet, zoo_vit, zoo_swin, zoo_bert, zoo_gpt2, zoo_llama,
    zoo_rnn, zoo_vision_tasks, zoo_detect_ssd, zoo_detect_fpn, zoo_detect_efficientdet, zoo_segment_unet,
    zoo_detect_yolo, zoo_segment_dilated, zoo_diffusion, zoo_diffusion_xl, zoo_moflow, zoo_decoders, zoo_seq2seq,
    zoo_recommender, zoo_speech, zoo_tts, zoo_tft, zoo_gnmt, zoo_relative, zoo_deberta, zoo_configs,
    zoo_recommender_sim, zoo_se3;

#define ZOO_TABLE(rows)                       \
    {                                         \
        (rows), sizeof(rows) / sizeof *(rows) \
    }
/* The dimensions of a row, typed: static because the tables are at file scope. */
#define ZOO_DIMS(type, ...) (&(const type)__VA_ARGS__)

#define ZOO_TORCHVISION "https://pytorch.org/vision/stable/models.html"
#define ZOO_HUGGING_FACE(repo) "https://huggingface.co/" repo

#endif
