phantom-gpu compare-models llama-2-70b --gpus rtx4090,h200 --batch-sizes 1
