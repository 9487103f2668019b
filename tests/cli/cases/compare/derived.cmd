# What was derived for a GPU is said once.
printf '[gpus.mine]\nmemory_gb = 24\nbandwidth_gbs = 900\nfp32_tflops = 30\n' >my.toml
phantom-gpu compare-models resnet50 --gpus mine --hardware-profiles my.toml 2>&1 | grep -c 'not given, so derived'
phantom-gpu load-model resnet50 --gpu mine --hardware-profiles my.toml 2>&1 | grep -c 'not given, so derived'
