phantom-gpu list-models
