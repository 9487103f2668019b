phantom-gpu compare-models --models resnet50,bert-base-uncased --gpus a100,t4 --batch-sizes 1,16 --precision fp16,int8
