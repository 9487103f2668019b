phantom-gpu validate --benchmark-data rows.json --verbose
echo
phantom-gpu validate --benchmark-data rows.json --gpu A100,h100
