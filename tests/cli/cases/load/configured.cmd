# Published configurations are built in: by their names on the Hub, with and without the owner, and no network.
for m in mistralai/Mixtral-8x7B-Instruct-v0.1 Qwen3-30B-A3B openai/gpt-oss-20b; do
    phantom-gpu load-model "$m" --gpu h100 --offline | head -4
done
phantom-gpu load-model allenai/longformer-large-4096 --gpu a100 --seq-len 4096 --offline | sed -n '1,5p'
# An error where the text is longer than the model was made for.
phantom-gpu load-model phi-4 --gpu h100 --input-len 20000 --offline | head -1
# The Hub itself is asked for a revision, and a name that is only like one is not built in.
phantom-gpu load-model Qwen/Qwen3-8B@main --gpu h100 --offline
phantom-gpu load-model somebody/Qwen3-8B --gpu h100 --offline
phantom-gpu load-model mixtral-8x7 --gpu h100
