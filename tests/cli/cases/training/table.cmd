# The optimizer's kernels and the backward pass are rows of --explain; checkpointing runs blocks again.
phantom-gpu load-model --model resnet18 --gpu a100 --batch-size 32 --task training --gradient-checkpointing --explain \
    --output csv | cut -d, -f2 | grep -oE '\((backward|weight gradient|gradient sum|again)\)|^(loss|loss \(backward\)|optimizer)$' |
    sort -u
