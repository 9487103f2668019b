phantom-gpu load-model resnet50
phantom-gpu load-model resnet50 --gpu v100 --precision fp8 | grep -o 'of the [a-z0-9]* peak'
phantom-gpu load-model resnet50 --gpu h100 --precision fp8 | grep -o 'of the [a-z0-9]* peak'
