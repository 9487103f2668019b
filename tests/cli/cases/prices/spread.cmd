# Two H100 hold Llama 70B, but only four answer in time: a model that fits on fewer is divided further where that is too slow, and
# a precision in which it fits on one does not hide that.
prices="--clouds lambda --gpus h100 --today 2026-09-01 --json"
for p in fp16 fp16,fp8; do
    # shellcheck disable=SC2086
    phantom-gpu recommend-gpu llama-3.1-70b --task serving --concurrency 50 --target-ttft 500 --precision $p $prices |
        grep -m 3 -E '"(precision|tensor_parallel|gpu_count)"'
done
# Fewer GPUs in all where a replica is spread over more of them.
# shellcheck disable=SC2086
phantom-gpu recommend-gpu mixtral-8x7b --task serving --concurrency 50 --target-throughput 1400 $prices |
    grep -m 3 -E '"(precision|tensor_parallel|gpu_count)"'
phantom-gpu recommend-gpu llama-3.1-70b --task serving --concurrency 50 --target-ttft 500 --clouds lambda --gpus h100 --today 2026-09-01 | grep -o 'its high end, [a-z ]*'
