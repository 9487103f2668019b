phantom-gpu load-model resnet50 --gpu rtx4090 --batch-size 256 --measured-on rtx3090 --measured-ms 120.5 | grep -E 'Note'
phantom-gpu compare-models resnet50 vgg16 --gpus rtx3090 -b 64 --measured-on rtx3090 --measured-ms 25,60 --output csv | cut -d, -f1,9-10
phantom-gpu load-model resnet50 --gpu h100 -b 64 --measured-on rtx3090 --measured-ms 0.2 | grep -E 'Note'
phantom-gpu compare-models resnet50 --gpus rtx4090 -b 1,64 --measured-on rtx3090 --measured-ms 25 --measured-batch 64 | grep rtx3090
