# What applies to one model only is no mistake; what is asked for of all is.
phantom-gpu compare-models resnet50 bert-base-uncased op:gemm:m=64:n=64:k=64 --gpus a100 --seq-len 256 --image-size 256 \
    --output csv | cut -d, -f1,6
phantom-gpu compare-models resnet50 op:gemm:m=64:n=64:k=64 --gpus a100 --batch-sizes 8; echo "exit $?"
phantom-gpu load-model op:conv2d:batch=8:in=64:out=64:kernel=3:size=56 --gpu a100 --input-shape x=1 --format onnx --out result
