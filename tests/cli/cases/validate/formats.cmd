phantom-gpu validate --benchmark-data rows.json --json
phantom-gpu validate --benchmark-data rows.json --output csv | tr -d '\r'
phantom-gpu validate --benchmark-data rows.json --gpu a100 --output markdown --plot plot.svg --out report.md
cat report.md
head -n 1 plot.svg
