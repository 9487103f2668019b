phantom-gpu load-model resnet50
