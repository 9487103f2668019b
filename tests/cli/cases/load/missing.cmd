phantom-gpu load-model nosuch.onnx; echo "exit $?"
phantom-gpu load-model resnet05; echo "exit $?"
