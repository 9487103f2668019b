# The batch of --input-shape counts where no other is given.
phantom-gpu compare-models resnet50 --gpus a100 --input-shape input=8x3x256x256 --output csv | cut -d, -f1,6
phantom-gpu compare-models resnet50 --gpus a100 --input-shape input=8x3x256x256 --batch-sizes 4,8 --output csv | cut -d, -f1,6
phantom-gpu compare-models resnet50 --gpus a100 --input-shape input=8x3x256x256 --batch-sizes 4 --output csv | cut -d, -f1,6
phantom-gpu load-model resnet50 --gpu a100 --input-shape input=8x3x256x256 --output csv | cut -d, -f1,6
phantom-gpu load-model resnet50 --gpu a100 --input-shape input=8x3x256x256 --batch-size 1 --output csv | cut -d, -f1,6
