# GPU files with mistakes: file, line and column where there are any, and status 1.
try() {
    printf '%b' "$1" >my.toml
    phantom-gpu list-gpus --hardware-profiles my.toml --out result
    echo "exit $?"
}
try '[gpus.mine\n'
try '[gpus.mine]\nmemory_gb = 24\nbandwidth = 800\n'
try '[gpus.mine]\nmemory_gb = "24"\n'
try '[gpus.mine]\nmemory_gb = -1\n'
try '[gpus.mine]\nmemory_gb = nan\n'
try '[gpus.mine]\nmemory_gb = 24\n'
try '[gpus."a,b"]\nmemory_gb = 24\n'
try '[gpus.mine]\naliases = ["a100"]\nfp32_tflops = 1\nbandwidth_gbs = 1\n'
try '[profiles.a100]\nmemory.l2_cache_mb = [1]\n'
try '[profiles.a100]\nmodel_performance.cnn.batch_scaling_curve = [1, 2]\n'
try 'default_gpu = "nosuch"\n'
try 'a = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n'
phantom-gpu list-gpus --hardware-profiles missing.toml; echo "exit $?"
phantom-gpu list-gpus --hardware-profiles .; echo "exit $?"
ls
