phantom-gpu load-model llama-7b --task inference --gpu a100 --gpu-count 8 --tensor-parallel 2 --pipeline-parallel 2
# Two sums a layer, one behind the embedding, and the scores of all words gathered; BERT has no words at its end.
for model in llama-7b bert-base-uncased gpt2 vit_b_16; do
    phantom-gpu load-model $model --task inference --gpu a100 --tensor-parallel 2 --runtime vllm --explain | grep '^communication' | awk '{print $1, $2}'
done
