phantom-gpu load-model --model resnet50 --gpu 'RTX-4090' --batch-size 32 --precision FP32
