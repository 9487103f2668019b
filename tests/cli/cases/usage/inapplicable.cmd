# What was asked for and can't have an effect is said; what is shown is as without it.
for model in resnet50 bert-base-uncased llama-7b; do
    for o in '--concurrency 4' '--lora-rank 8' '--autocast' '--autocast --precision fp32' '--layout nhwc' '--signature x' \
        '--architecture resnet18' '--optimizer sgd' '--image-size 64' '--seq-len 64'; do
        echo "$model $o" >&2
        # shellcheck disable=SC2086
        phantom-gpu load-model "$model" --gpu a100 $o >/dev/null
    done
done
for o in '--request-rate 3' '--target-ttft 100' '--target-tpot 20' '--gpu-layers 4' '--input-len 9'; do
    echo "$o" >&2
    # shellcheck disable=SC2086
    phantom-gpu load-model resnet50 --gpu a100 $o >/dev/null
done
# A runtime of language models for another model; training in what nobody trains in.
phantom-gpu load-model resnet50 --gpu a100_sxm_80gb --runtime vllm | grep 'Rests on'
for p in int8 fp8 fp4 int4; do
    phantom-gpu load-model resnet50 --gpu a100 --task training --precision $p; echo "exit $?"
done
