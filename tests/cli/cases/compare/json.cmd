phantom-gpu compare-models resnet50 --gpus a100 --batch-sizes 8 --json
