phantom-gpu list-gpus --output markdown | head -n 3
