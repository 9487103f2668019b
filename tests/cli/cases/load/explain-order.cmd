phantom-gpu load-model resnet50 --gpu a100 --sort order --top 2 --output markdown | sed -n '/^## Kernels/,$p'
