phantom-gpu load-model resnet50 --gpu h100 --json
