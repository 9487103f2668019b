phantom-gpu load-model resnet50 --gpu a100 --explain --output csv | head -n 2 | tr -d '\r'
