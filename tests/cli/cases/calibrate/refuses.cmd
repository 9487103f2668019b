phantom-gpu calibrate --benchmark-data x.json; echo "exit $?"
phantom-gpu calibrate --gpu h100; echo "exit $?"
phantom-gpu calibrate --gpu h1000 --benchmark-data x.json; echo "exit $?"
phantom-gpu calibrate --gpu h100 --benchmark-data x.json; echo "exit $?"
row() { printf '%s{"model": "%s", "gpu": "h100", "batch": %s, "metric": "latency_ms", "value": %s}' "$@"; }
{ printf '{"version": 1, "benchmarks": ['; row '' resnet50 64 0.01; row , vgg16 64 20; printf ']}'; } >two.json
phantom-gpu calibrate --gpu h100 --benchmark-data two.json --write p.toml; echo "exit $?"
{ printf '{"version": 1, "benchmarks": ['; phantom-gpu compare-models resnet50 vgg16 alexnet mobilenet_v2 --gpus h100 -b 64 --output csv |
    awk -F, 'NR > 1 { printf "%s{\"model\": \"%s\", \"gpu\": \"h100\", \"batch\": %s, \"metric\": \"latency_ms\", \"value\": %.6f}", (NR > 2 ? ",\n" : ""), $1, $6, $10 }'; printf ']}'; } >same.json
phantom-gpu calibrate --gpu h100 --benchmark-data same.json --write p.toml >report; echo "exit $?"
ls p.toml 2>/dev/null
phantom-gpu calibrate --gpu h100 --benchmark-data same.json --write p.toml --force >report 2>&1; echo "exit $?"
grep -c 'no better' p.toml
phantom-gpu calibrate --gpu h100 --benchmark-data same.json --write no/such/p.toml --force >report; echo "exit $?"
echo "--- one network a little off may be so on every GPU"
{ printf '{"version": 1, "benchmarks": ['; phantom-gpu compare-models resnet50 --gpus h100 -b 32,64,128,256,512 --output csv |
    awk -F, 'NR > 1 { printf "%s{\"model\": \"%s\", \"gpu\": \"h100\", \"batch\": %s, \"metric\": \"latency_ms\", \"value\": %.6f}", (NR > 2 ? ",\n" : ""), $1, $6, $10 * 1.1 }'; printf ']}'; } >alike.json
phantom-gpu calibrate --gpu h100 --benchmark-data alike.json --write q.toml >report; echo "exit $?"
