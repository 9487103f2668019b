# What is asked for, and what is not asked for again.
hub() { hub_server --log "$CASES/repos" -- phantom-gpu load-model --gpu a100 "$@" 2>&1 | grep -E "^hub|^acme|Parameters|Work |warning"; }
export HF_TOKEN=hf_secret
echo "- ONNX"; hub acme/net
echo "- again"; hub acme/net
echo "- a commit"; hub acme/net@b0c2b08c59c370816272b3d9d4c6308bee1ce5f3
echo "- offline"; hub acme/net --offline
echo "- configuration and weights"; hub acme/llm
echo "- weights that are pickles"; HF_HUB_DISABLE_IMPLICIT_TOKEN=1 hub acme/bare
echo "- GGUF, by a part of its name"; hub acme/quants:q8_0 --input-len 16 --output-len 8
echo "- several models"
hub_server "$CASES/repos" -- phantom-gpu compare-models acme/net,resnet50,hf://acme/net@main:model.onnx --gpus a100 --batch-sizes 1 --output csv |
    cut -d, -f1,2
echo "- what is where"
find .cache -type f ! -name '*.lock' | sed 's/[0-9a-f]\{40,\}/HASH/g' | LC_ALL=C sort
find .cache -type l -exec readlink {} + | sed 's/[0-9a-f]\{40,\}/HASH/g; s|.*/scratch/|/|' | LC_ALL=C sort
