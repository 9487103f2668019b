# What language models add, for programs; prefill and decode in --explain.
phantom-gpu load-model llama-3-8b --gpu rtx4090 --quantization q4_k_m --kv-cache-precision fp16 --input-len 1000 --output-len 24 --json |
    grep -v '"memory"' | grep -E '"(task|runtime|quantization|kv_cache_precision|input_len|output_len|kv_cache_bytes|fits|throughput_unit|max_context)"'
phantom-gpu load-model llama-3-8b --gpu h100 --json | grep -cE '"(tokens_per_s|ttft_ms|tpot_ms|efficiency)": [0-9]'
phantom-gpu load-model llama-3-8b --gpu h100 --explain --top 100 | grep -E 'prefill *(gate and up|attention )|decode *(gate and up|output layer)' | cut -c1-31
phantom-gpu load-model llama-3-8b --gpu h100 --task inference --json | grep -c tpot_ms
