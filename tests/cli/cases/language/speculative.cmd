# Tokens that are guessed ahead: three in each step, of which some hold; where that is no question.
phantom-gpu load-model llama-3.1-8b --gpu h100 --speculative-tokens 3 --acceptance-rate 0.8 --json | grep tokens_per_step
phantom-gpu load-model llama-3.1-8b --gpu h100 --task serving --speculative-tokens 1 --json | grep tokens_per_step
phantom-gpu load-model llama-3.1-8b --gpu h100 --task prefill --json | grep tokens_per_step
phantom-gpu load-model llama-3.1-8b --gpu h100 --acceptance-rate 0.8
phantom-gpu load-model resnet50 --gpu h100 --speculative-tokens 2 >/dev/null
