# The table that people ask for; OOM with what would fit.
phantom-gpu compare-models --models llama-7b --gpus rtx4090,a100,h100 --batch-sizes 1,4,8
phantom-gpu compare-models llama-7b --gpus rtx3080 --batch-sizes 1 | grep -A1 "OOM\|Too big"
