phantom-gpu load-model resnet50 --gpu a100 --json >one
phantom-gpu load-model --gpu=a100 -j --model=resnet50 >two
phantom-gpu load-model -ga100 --output json -- resnet50 >three
cmp one two && cmp two three
