# No line is wider than the terminal, from narrow to wide.
for columns in 60 80 100 120 140 200; do
    COLUMNS=$columns phantom-gpu compare-models resnet50 llama-2-7b --gpus all --precision fp16,fp8 |
        awk -v most=$columns 'length($0) > most { print most ": " $0 }'
    COLUMNS=$columns phantom-gpu load-model resnet50 --explain |
        awk -v most=$columns 'length($0) > most { print most ": " $0 }'
done
COLUMNS=40 phantom-gpu compare-models resnet50 --gpus a100 -b 1 | grep -o "Latency  Within"
