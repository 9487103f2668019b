phantom-gpu --version
phantom-gpu -V
