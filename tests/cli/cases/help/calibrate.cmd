phantom-gpu calibrate --help
