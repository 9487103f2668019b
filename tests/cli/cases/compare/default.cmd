phantom-gpu compare-models resnet50
