phantom-gpu help compare-models
