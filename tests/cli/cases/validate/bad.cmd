status() { "$@" >/dev/null; echo "$?"; }
for file in key syntax empty batch missing; do status phantom-gpu validate --benchmark-data $file.json; done
status phantom-gpu validate --benchmark-data .
phantom-gpu validate --benchmark-data kernels.json --split family
