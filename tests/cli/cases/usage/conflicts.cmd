phantom-gpu load-model resnet50 --json --output csv; echo "exit $?"
phantom-gpu load-model resnet50 --optimizer sgd; echo "exit $?"
