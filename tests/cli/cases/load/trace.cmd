phantom-gpu load-model resnet50 --gpu a100 --trace step.json >/dev/null
sed -n 1,7p step.json
ls
