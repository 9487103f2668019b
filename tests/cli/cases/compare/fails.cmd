phantom-gpu compare-models resnet50,nosuch.onnx --out result; echo "exit $?"
ls
