# When it fails, what was written before stays as it was, and nothing is left beside it.
echo before >result
phantom-gpu compare-models resnet50,nosuch --gpus a100 --out result; echo "exit $?"
phantom-gpu compare-models resnet50,nosuch.onnx --gpus a100 --out result; echo "exit $?"
phantom-gpu load-model resnet50 --gpu nosuch --out result; echo "exit $?"
phantom-gpu load-model resnet50 --runtime nosuch --out result; echo "exit $?"
phantom-gpu load-model resnet50 --precision nosuch --out result; echo "exit $?"
phantom-gpu load-model resnet50 --gpu a100 --out no/such/folder/result; echo "exit $?"
phantom-gpu load-model resnet50 --gpu a100 --trace no/such/folder/trace --out result; echo "exit $?"
cat result
ls
