phantom-gpu -h | head -n 1
phantom-gpu help | head -n 1
phantom-gpu help list-gpus | head -n 1
phantom-gpu list-gpus -h --frobnicate | head -n 1
