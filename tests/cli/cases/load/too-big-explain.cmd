# What doesn't fit has no kernel times, no timeline and no speed in the data.
phantom-gpu load-model llama-2-70b --gpu rtx4090 --explain | tail -n 1
phantom-gpu load-model llama-2-70b --gpu rtx4090 --explain --output csv
phantom-gpu load-model llama-2-70b --gpu rtx4090 --explain --json |
    grep -E '"(bottleneck|gpu_ms|host_ms|dram_bytes|latency_ms|kernels|kernel_kinds)"|to show'
phantom-gpu load-model llama-2-70b --gpu rtx4090 --trace step.json --out result; echo "exit $?"
ls
