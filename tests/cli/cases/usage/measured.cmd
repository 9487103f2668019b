phantom-gpu load-model resnet50 --measured-ms 3; echo "exit $?"
phantom-gpu load-model resnet50 --measured-batch 3; echo "exit $?"
phantom-gpu load-model resnet50 --measured-on rtx3090; echo "exit $?"
phantom-gpu load-model resnet50 --measured-on rtx3009 --measured-ms 3; echo "exit $?"
for t in 0 -1 1e3 nan 1.2.3 . 1000000000 ''; do
    phantom-gpu load-model resnet50 --measured-on rtx3090 --measured-ms "$t"; echo "exit $?"
done
phantom-gpu load-model resnet50 --measured-on rtx3090 --measured-ms 3,4; echo "exit $?"
phantom-gpu compare-models resnet50 vgg16 -b 1 --measured-on rtx3090 --measured-ms 3; echo "exit $?"
phantom-gpu compare-models resnet50 -b 1 --precision fp16,fp32 --measured-on rtx3090 --measured-ms 3; echo "exit $?"
phantom-gpu compare-models resnet50 --measured-on rtx3090 --measured-ms 3; echo "exit $?"
