# What only training has does nothing to inference, and says so.
phantom-gpu compare-models --models resnet18 --gpus a100 --batch-sizes 1 --optimizer sgd --gradient-checkpointing --json |
    grep -oE '"task": "[a-z]*"|--[a-z-]* has no effect[a-z -]*' | sort -u
