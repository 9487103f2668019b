phantom-gpu list-gpus --json | grep '"rtx4090"'
