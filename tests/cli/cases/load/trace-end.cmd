# The last event ends when the step does.
for model in "resnet50 --batch-size 64" "resnet50" lstm-medium op:gemm:m=64:n=64:k=64; do
    phantom-gpu load-model $model --gpu a100 --trace step.json --json --out result
    awk '
        FNR == NR { if (sub(/.*"latency_ms": /, "")) step = $0 * 1000; next }
        match($0, /"ts": [^,]*/) { at = substr($0, RSTART + 6, RLENGTH - 6) + 0 }
        match($0, /"dur": [^,]*/) { at += substr($0, RSTART + 7, RLENGTH - 7); if (at > last) last = at }
        END { print (last < step * 1.000001 && last > step * 0.999999) ? "ends with the step" : last " of " step }
    ' result step.json
done
