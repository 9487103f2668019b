phantom-gpu list-hardware --help
