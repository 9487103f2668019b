phantom-gpu load-model resnet50 --gpu h10; echo "exit $?"
phantom-gpu compare-models resnet50 --gpus a100,nosuch; echo "exit $?"
phantom-gpu list-hardware --gpu nosuch; echo "exit $?"
phantom-gpu load-model resnet50 --runtime pytorhc; echo "exit $?"
