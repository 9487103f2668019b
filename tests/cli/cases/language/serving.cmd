# How many GPUs bear so many requests a second within such times.
phantom-gpu compare-models llama-3.1-8b --gpus l40s,h100 --task serving --input-len 1024 --output-len 256 --request-rate 20 --target-ttft 1000 --target-tpot 30
