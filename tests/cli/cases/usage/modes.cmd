# The roofline alone is quicker than the prediction, and long load never: both say so of every GPU.
latency() { phantom-gpu compare-models resnet50 --gpus l4,a100,rtx4090,t4 --batch-sizes 64 -o csv "$@" | tail -n +2 | cut -d, -f3,10; }
latency >plain; latency --fast-mode >fast; latency --real-hardware >real
paste -d, plain fast real | awk -F, '$4 < $2 { quicker++ } $6 >= $2 { slower++ } END { print quicker, slower }'
