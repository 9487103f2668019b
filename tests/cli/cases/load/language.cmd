# Language models as a configuration, as GGUF and as weights: what they are, and what is wrong with one.
hf=$ROOT/tests/fuzz/corpora/hugging_face gguf=$ROOT/tests/fuzz/corpora/gguf
for model in "$hf/experts" "$hf/nested" "$gguf/experts" "$gguf/mamba" "$ROOT/tests/fuzz/corpora/safetensors/gptq"; do
    phantom-gpu load-model --model "$model" --gpu a100 --task inference | sed -n '1,/^  Operators/p'
done
mkdir model
cp "$hf/deepseek" model/config.json
phantom-gpu load-model model --gpu a100 --task inference --json | grep '"format"\|"parameters"\|"active_parameters"'
for model in unknown no_type heads kv_heads negative many_experts text nan; do
    cp "$hf/$model" config.json
    phantom-gpu load-model config.json; echo "exit $?"
done
for model in llama_v1 clip heads one_of_three overlap; do
    cp "$gguf/$model" model.gguf
    phantom-gpu load-model model.gguf; echo "exit $?"
done
for model in twice gap behind; do
    cp "$ROOT/tests/fuzz/corpora/safetensors/$model" x.safetensors
    phantom-gpu load-model x.safetensors; echo "exit $?"
done
