# What can't be is said with its field and value.
phantom-gpu load-model llama-7b --gpu h100 --tensor-parallel 3
phantom-gpu load-model llama-7b --gpu h100 --input-len 5000
phantom-gpu load-model llama-7b --gpu h100 --quantization q4
phantom-gpu load-model llama-7b --gpu h100 --quantization q4_0 --runtime vllm
phantom-gpu load-model llama-7b --gpu h100 --request-rate 5
phantom-gpu load-model bert-base-uncased --gpu h100 --task decode
phantom-gpu load-model resnet50 --gpu h100 --task prefill
