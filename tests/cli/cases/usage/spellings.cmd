# Runtimes and precisions as people and frameworks spell them, and what of a language model's options a whole pass takes.
for r in TensorRT trt ONNX-Runtime 'onnx runtime' Torch torch.compile 'LLaMA cpp'; do
    phantom-gpu compare-models resnet50 --gpus a100 -b 1 -r "$r" --output csv | sed 1d | cut -d, -f9
done
phantom-gpu compare-models resnet50 --gpus a100 -b 1 -p float32,half,BFloat16 --output csv | sed 1d | cut -d, -f8
phantom-gpu load-model resnet50 -r nonsense; echo "exit $?"
phantom-gpu load-model vit_b_16 --task training --lora-rank 4; echo "exit $?"
train="phantom-gpu load-model tinyllama-1.1b --gpu h200 --task training --output csv"
$train --input-len 2048 >a
$train --seq-len 2048 >b
cmp a b && echo same
$train --output-len 3 --quantization nf4 >c
$train >d
cmp c d && echo same
cmp -s a c || echo longer
# How long sequences are is said where a whole pass is predicted.
COLUMNS=160 phantom-gpu compare-models bert-base-uncased resnet50 --gpus a100 -b 1 --seq-len 77 | grep -o 'sequences of .*'
phantom-gpu load-model tinyllama-1.1b --gpu h200 --task training --lora-rank 4 --input-len 99 | grep -o 'sequences of .*'
