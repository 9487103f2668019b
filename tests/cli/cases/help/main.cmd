phantom-gpu --help
