# A training step in JSON, with its gradients and the optimizer's state.
phantom-gpu compare-models --models resnet18 --gpus a100 --batch-sizes 32 --task training --optimizer sgd --autocast \
    --json | grep -E '"(task|throughput_unit|memory|fits)": ("training|"samples|[{]|true)' | sort -u
