phantom-gpu compare-models resnet50 --gpus a100,h100 --batch-sizes 8 --output markdown
