phantom-gpu load-model resnet50 --json --output csv; echo "exit $?"
