# The same GPU by other names counts once; "all" leaves out the one that is there to be edited.
phantom-gpu compare-models resnet50 --gpus A100,a-100,default,rtx_4090 --batch-sizes 1,1 --output csv | cut -d, -f3,6
phantom-gpu compare-models resnet50 --gpus all --batch-sizes 1 --output csv | grep -c ,custom,
phantom-gpu compare-models resnet50 --gpus all,custom --batch-sizes 1 --output csv | grep -c ,custom,
