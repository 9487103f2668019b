phantom-gpu list-hardware
