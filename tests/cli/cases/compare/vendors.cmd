# Runtimes that one vendor makes for its own GPUs have no speed on others', whatever shows it; nobody is advised to take them there.
phantom-gpu compare-models resnet50 --gpus mi300x,a100 -r tensorrt,pytorch -b 8
phantom-gpu compare-models resnet50 --gpus mi300x,a100 -r tensorrt -b 8 --output csv | cut -d, -f3,9,10,11,12,16
phantom-gpu load-model llama-2-7b --gpu mi300x -r tensorrt-llm --json | grep -E '"(latency_ms|tokens_per_s|tpot_ms|fits|power_w|note)"'
phantom-gpu load-model llama-2-7b --gpu mi300x -r tensorrt-llm --explain | grep -E 'Speed|Note|kernel times'
phantom-gpu load-model resnet50 --gpu mi300x -r tensorrt --trace t.json
phantom-gpu load-model resnet50 --gpu mi300x -r tensorrt --explain --json | grep -E "kernel|note"
phantom-gpu recommend-gpu resnet50 --gpus mi300x -r tensorrt --target-throughput 100 --today 2026-09-01; echo "exit $?"
# Whoever describes a board may spell its vendor in any case.
for vendor in nvidia NVIDIA Intel; do
    printf '[gpus.mine]\nname = "Mine"\nvendor = "%s"\nfp32_tflops = 60\nfp16_tflops = 120\nbandwidth_gbs = 900\n' "$vendor" >mine.toml
    phantom-gpu compare-models resnet50 --gpus mine -b 1 -r tensorrt --hardware-profiles mine.toml --json |
        grep -q '"latency_ms": null' && echo "none on '$vendor'"
done
echo '{"version": 1, "benchmarks": [{"model": "resnet50", "gpu": "mi300x", "runtime": "tensorrt", "metric": "latency_ms", "value": 3}]}' >b.json
phantom-gpu validate --benchmark-data b.json | grep 'runtime'
# One line a note, with all GPUs that it is about.
phantom-gpu compare-models resnet50 --gpus p100,v100,a100 -p int8 -b 1,8 | grep 'INT8'
phantom-gpu compare-models resnet50 --gpus p100,v100 -p int8 -b 1,8 | grep 'INT8'
