phantom-gpu load-model resnet50 --gpu a100 --explain --top 3
