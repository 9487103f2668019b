# So many requests at a time as are asked for, whatever the batch sizes: one row a GPU, and a warning for who gives both.
gpus=rtx3090,a100
phantom-gpu compare-models llama-3.1-8b --gpus $gpus --task serving --concurrency 50 --output csv | cut -d, -f3,6
phantom-gpu compare-models llama-3.1-8b --gpus $gpus --task serving --concurrency 50 -b 4,8 --output csv | cut -d, -f3,6
phantom-gpu compare-models llama-3.1-8b --gpus $gpus --task serving -b 4,8 --output csv | cut -d, -f3,6
phantom-gpu compare-models llama-3.1-8b --gpus a100 -b 1 --quantization awq | grep -o 'as awq'
