# Engines don't train.
phantom-gpu load-model --model resnet18 --gpu a100 --task training --runtime tensorrt
