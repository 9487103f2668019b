# The figures go with the constants; what is divided among how many does not.
for options in '--gpu-count 8' '--pipeline-parallel 4 --micro-batches 8' '--gpu-count 8 --tensor-parallel 2 --pipeline-parallel 2'; do
    phantom-gpu load-model gpt2 --gpu a100_sxm_80gb --task training --batch-size 16 $options --json |
        grep -E '"(gpu_count|batch|task|fits|(data|tensor|pipeline)_parallel)"'
done
