#!/bin/sh
# Fits every constant anew from measurements and writes data/cost_constants.toml and data/runtimes.toml.
#   tools/fit.sh DATA BUILD
# DATA: a folder with data/kernels, facts/gpus.csv, tools/benchmarks.py (tables of measured kernels and models; not in this
# repository). BUILD: a build folder with fit_kernels and fit_models. Deterministic: the same data give the same constants.
#
# 1. Kernel measurements, from data/cost_constants.start: everything but what only whole models show.
# 2. Whole image models: half-precision convolutions, layout changes, eager PyTorch's kernels.
# 3. The same under torch.compile. 4. Small batches of PyTorch: the host. 5. TensorRT, by MLPerf's offline runs, and BERT under
# TensorRT and ONNX Runtime.
set -eu
data=$1 build=$2
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bench() { python3 "$data/tools/benchmarks.py" "$1" "$work/$1.json" --models "$work/timm"; }
models() { ninja -C "$build" fit_models >/dev/null && "$build/fit_models" --write "$here/data" "$@"; }

mkdir "$work/timm"
tar -xJf "$data/models/timm.tar.xz" -C "$work/timm"
for suite in timm timm-compile mlperf; do bench "$suite"; done
python3 "$here/tools/host_benchmarks.py" "$data/data/bench/deeplearningexamples.csv.gz" "$work/host.json"
# GCViT's code spells its attention out, which its files don't tell from a fused call.
python3 - "$work/timm.json" "$work/timm-compile.json" <<'PY'
import json, sys
for path in sys.argv[1:]:
    j = json.load(open(path))
    j['benchmarks'] = [r for r in j['benchmarks'] if r['family'] != 'gcvit']
    json.dump(j, open(path, 'w'))
PY
for runtime in onnxruntime tensorrt; do
    python3 "$here/tools/engine_benchmarks.py" "$data/data/bench/deeplearningexamples.csv.gz" $runtime "$work/$runtime.json"
done
# Language models are left out there: the table does not give their lengths.
python3 - "$work/mlperf.json" <<'PY'
import json, sys
j = json.load(open(sys.argv[1]))
j['benchmarks'] = [dict(r, runtime='tensorrt') for r in j['benchmarks'] if 'bert' not in r['model']]
json.dump(j, open(sys.argv[1], 'w'))
PY

"$build/fit_kernels" "$data/data/kernels" "$data/facts/gpus.csv" "$here/data/cost_constants.start" \
    --fit 3 --rows 250 --out "$here/data/cost_constants.toml"
models --rounds 3 --fit conv.tensor_share,conv.tensor_k0,conv.tensor_n0,conv.depthwise_share,conv.depthwise_taps,conv.depthwise_nhwc,conv.layout_bytes,conv.layout_pointwise,vector.serial_clocks,memory.gddr_share,memory.gddr7_share,power.display_boost,pytorch.gemm_speed,pytorch.attention_speed "$work/timm.json"
models --rounds 3 --fit pytorch-compile.conv_speed,pytorch-compile.depthwise_speed,pytorch-compile.gemm_speed,pytorch-compile.pointwise_speed,pytorch-compile.attention_speed "$work/timm-compile.json"
models --rounds 3 --fit pytorch.host_us,predict.host_half_years "$work/host.json"
models --rounds 3 --fit tensorrt.conv_speed,tensorrt.depthwise_speed "$work/mlperf.json"
models --rounds 3 --fit tensorrt.gemm_speed "$work/tensorrt.json"
models --rounds 3 --fit onnxruntime.gemm_speed,onnxruntime.pointwise_speed "$work/onnxruntime.json"
