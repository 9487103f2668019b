phantom-gpu load-model llama-2-70b --gpu rtx4090
