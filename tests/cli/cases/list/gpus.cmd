phantom-gpu list-gpus
