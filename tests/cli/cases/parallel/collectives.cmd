# Times go with the constants; what is bound by what, and over how many GPUs, does not.
for op in allreduce allgather reducescatter alltoall broadcast send; do
    phantom-gpu load-model op:$op:bytes=67108864 --gpu a100_sxm_80gb --gpu-count 8 --json |
        grep -E '"model"|"gpu_count"|"bottleneck"|"throughput_unit"|"fits"'
done
