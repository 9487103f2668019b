printf '[gpus.mine]\nname = "Mine"\nmemory_gb = "a lot"\n' >gpus.toml
phantom-gpu list-gpus --hardware-profiles gpus.toml; echo "exit $?"
phantom-gpu list-gpus --hardware-profiles nosuch.toml; echo "exit $?"
