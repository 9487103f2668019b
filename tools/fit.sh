#!/bin/sh
# Fits every constant anew from measurements and writes data/cost_constants.toml and data/runtimes.toml.
#   tools/fit.sh DATA BUILD
# DATA: a folder with data/kernels, facts/gpus.csv, tools/benchmarks.py (tables of measured kernels and models; not in this
# repository). BUILD: a build folder with fit_kernels and fit_models. Deterministic: the same data give the same constants.
# Which constants a step moves stands in data/fit.toml.
#
# 1. Kernel measurements, in the steps of data/fit.toml that name tables: all but what only whole models show.
# 2. Whole image models: half-precision convolutions, layout changes, masked attention, eager PyTorch's kernels.
# 3. The same under torch.compile. 4. Small batches of PyTorch: the host. 5. TensorRT, by MLPerf's offline runs; recurrent layers, by
#    RNN-T and small batches of TFT under it, before what it pauses between kernels; BERT under TensorRT and ONNX Runtime.
# 6. The levels of GPUs that were measured, and what one measurement of a model says about other GPUs.
# 7. Training steps of image models, on top of all that; small batches of it: the host. `train_benchmarks.py nvidia` makes rows to
#    check that on other GPUs.
# 8. Language models under llama.cpp and serving runtimes.
# 9. Training on 8 to 64 GPUs, as a share of one GPU's speed.
set -eu
data=$1 build=$2
here=$(cd "$(dirname "$0")/.." && pwd)
# Without those tables: on the measured points that are in this repository.
if [ ! -d "$data/data/kernels" ]; then
    echo "$data has no data/kernels: fitting on data/benchmarks"
    ninja -C "$build" fit_models >/dev/null
    exec "$build/fit_models" --all --write "$here/data"
fi

data=$(cd "$data" && pwd) # benchmark files in another folder name models below it
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bench() { python3 "$data/tools/benchmarks.py" "$1" "$work/$1.json" --models "$work/timm"; }
models() { ninja -C "$build" fit_models >/dev/null && "$build/fit_models" --write "$here/data" "$@"; }

mkdir "$work/timm"
tar -xJf "$data/models/timm.tar.xz" -C "$work/timm"
for suite in timm timm-compile timm-train mlperf; do bench "$suite"; done
python3 "$here/tools/host_benchmarks.py" "$data/data/bench/deeplearningexamples.csv.gz" "$work/host.json"
python3 "$here/tools/recurrent_benchmarks.py" "$data/data/bench" "$work/recurrent.json"
python3 "$here/tools/power_benchmarks.py" "$data/data/bench/mlperf_inference.csv.gz" "$work/power.json"
python3 "$here/tools/train_benchmarks.py" small "$data/data/bench/misc.csv.gz" "$work/small.json"
# GCViT's code spells its attention out, which its files don't tell from a fused call.
python3 - "$work/timm.json" "$work/timm-compile.json" <<'PY'
import json, sys
for path in sys.argv[1:]:
    j = json.load(open(path))
    j['benchmarks'] = [r for r in j['benchmarks'] if r['family'] != 'gcvit']
    json.dump(j, open(path, 'w'))
PY
python3 "$here/tools/engine_benchmarks.py" "$data/data/bench/deeplearningexamples.csv.gz" onnxruntime "$work/onnxruntime.json"
# Language models are left out there: the table does not give their lengths; and models whose samples are volumes.
python3 - "$work/mlperf.json" <<'PY'
import json, sys
j = json.load(open(sys.argv[1]))
j['benchmarks'] = [dict(r, runtime='tensorrt') for r in j['benchmarks'] if r['model'] in
                   ('resnet50', 'mobilenet_v1', 'ssd-mobilenet-v1', 'ssd-resnet34-1200', 'retinanet_resnext50_32x4d_fpn')]
json.dump(j, open(sys.argv[1], 'w'))
PY

# From the start values, whatever is shipped today: the result depends on the data alone. Twice, since what only whole models show
# (bandwidth of GDDR memory, clocks of GeForce boards) stands in the kernels' fits too, and these in the models'.
models --start
# Single streams show what an engine costs between its kernels; transformers, what it does beside products.
python3 - "$here/data/benchmarks/deeplearningexamples.json" "$work/engines.json" <<'PY'
import json, sys
j = json.load(open(sys.argv[1]))
# Wide & Deep's engines ran batches padded to powers of two.
j['benchmarks'] = [r for r in j['benchmarks'] if r['runtime'] == 'tensorrt' and r['model'] != 'wide_and_deep']
json.dump(j, open(sys.argv[2], 'w'))
PY
python3 "$here/tools/host_benchmarks.py" "$data/data/bench/deeplearningexamples.csv.gz" "$work/tensorflow.json" TensorFlow
python3 "$here/tools/train_benchmarks.py" language "$data/data/bench/misc.csv.gz" "$work/mpt.json"
bench gemm
python3 - "$work/gemm.json" "$work/blocks.json" <<'PY'
import json, sys
j = json.load(open(sys.argv[1]))
j['benchmarks'] = [r for r in j['benchmarks'] if r['runtime'] == 'vllm' and r['family'] == 'fp8_block']
json.dump(j, open(sys.argv[2], 'w'))
PY
python3 "$here/tools/train_benchmarks.py" tensorflow "$data/data/bench/deeplearningexamples.csv.gz" "$work/tensorflow-train.json"
for pass in 1 2; do
    ninja -C "$build" fit_kernels fit_transfer >/dev/null
    "$build/fit_kernels" "$data/data/kernels" --fit 3 --rows 250 --write "$here/data"
    ninja -C "$build" fit_transfer >/dev/null && "$build/fit_transfer" --reset --write "$here/data"
    models --rounds 3 --fit block-host "$work/blocks.json"
    models --rounds 3 --fit images "$work/timm.json"
    models --rounds 3 --fit compiled "$work/timm-compile.json"
    models --rounds 3 --fit host "$work/host.json"
    models --rounds 3 --fit training "$work/timm-train.json"
    models --rounds 3 --fit training-host "$work/small.json"
    models --rounds 3 --fit flash "$work/mpt.json"
    models --rounds 3 --fit engines "$work/power.json" "$work/mlperf.json"
    models --rounds 3 --fit recurrent "$work/recurrent.json"
    models --rounds 3 --fit engines-host "$here/data/benchmarks/mlperf.json" "$work/engines.json"
    models --rounds 3 --fit onnxruntime "$work/onnxruntime.json"
    models --rounds 3 --fit traced "$here/data/benchmarks/fastertransformer.json"
    models --rounds 3 --fit levels "$work/timm.json"
    models --rounds 3 --fit levels-compiled "$work/timm-compile.json"
    for key in tensorflow tensorflow-xla; do
        models --rounds 3 --fit "$key" "$work/tensorflow.json"
        models --rounds 3 --fit "$key-training" "$work/tensorflow-train.json"
    done
done
python3 "$here/tools/scaling_benchmarks.py" "$data/data/bench/deeplearningexamples.csv.gz" "$work/scaling.txt"
ninja -C "$build" fit_scaling >/dev/null && "$build/fit_scaling" "$work/scaling.txt" "$here/data"
# Language models.
for what in decode prefill; do python3 "$here/tools/llm_benchmarks.py" "$data" "$what" "$work/$what.json"; done
models --rounds 3 --fit llama-prefill "$work/prefill.json"
models --rounds 3 --fit llama-decode "$work/decode.json"
models --rounds 3 --fit llama-first "$work/prefill.json"
models --rounds 3 --fit llama-rows "$work/decode.json" "$work/prefill.json"
for runtime in vllm tensorrt-llm sglang; do
    for what in tpot ttft; do python3 "$here/tools/llm_benchmarks.py" "$data" "$what" "$work/$what.json" "$runtime"; done
    models --rounds 2 --fit "serving-$runtime" "$work/tpot.json" "$work/ttft.json"
done
python3 "$here/tools/llm_benchmarks.py" "$data" offline "$work/offline.json"
models --rounds 2 --fit peers "$work/offline.json"
# Last the intervals: they rest on the errors of points that were held out of all the fits above (5 minutes).
ninja -C "$build" fit_intervals >/dev/null && "$build/fit_intervals" --write "$here/data" "$work/timm.json" "$work/timm-compile.json" "$work/timm-train.json"
# What one measurement leaves of them.
python3 "$here/tools/pair_benchmarks.py" "$data/data/bench/timm.csv.gz" "$work/timm" "$work/pairs.json"
ninja -C "$build" fit_transfer >/dev/null && "$build/fit_transfer" --write "$here/data" "$work/pairs.json" "$work/host.json"
# And how few rows of an owner's are weighed.
ninja -C "$build" fit_spreads >/dev/null && "$build/fit_spreads" --write "$here/data" "$work/timm.json" "$work/host.json"
