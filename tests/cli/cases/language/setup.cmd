# How a serving runtime is set up: first tokens come later for it; what can't be is said.
first_token() {
    phantom-gpu load-model llama-3.1-8b --gpu h100 --task serving --runtime tensorrt-llm --concurrency 16 --input-len 1024 "$@" --json |
        sed -n 's/.*"ttft_ms": \([0-9.]*\),/\1/p'
}
itself=$(first_token)
for o in '--poll-steps 1' '--poll-steps 30' '--batch-wait-steps 20 --batch-wait-share 0.9' '--max-requests 16' '--max-requests 12' \
    '--max-step-tokens 8192' '--max-step-tokens 128'; do
    # shellcheck disable=SC2086
    first_token $o | awk -v o="$o" -v itself="$itself" '{ print o ": " ($1 > 1.5 * itself ? "later" : $1 == itself ? "the same" : $1) }'
done
for o in '--max-requests 0' '--poll-steps x' '--batch-wait-steps 4' '--batch-wait-share 0.5' '--batch-wait-share 2'; do
    # shellcheck disable=SC2086
    phantom-gpu load-model llama-3.1-8b --gpu h100 --task serving $o
done
phantom-gpu load-model llama-3.1-8b --gpu h100 --poll-steps 4
phantom-gpu load-model resnet50 --gpu h100 --max-requests 4 >/dev/null
