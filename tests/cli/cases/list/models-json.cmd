phantom-gpu list-models --json | grep '"resnet50"'
