phantom-gpu load-model "$(printf 'x\033[31m\n\302\233y')"; echo "exit $?"
