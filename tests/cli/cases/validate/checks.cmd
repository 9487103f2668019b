status() { "$@" >/dev/null; echo "$?"; }
status phantom-gpu validate --benchmark-data rows.json --max-error 10000
status phantom-gpu validate --benchmark-data rows.json --max-error 0.001
status phantom-gpu validate --benchmark-data rows.json --max-error 0
status phantom-gpu validate --benchmark-data rows.json --gpu nope
status phantom-gpu validate --benchmark-data rows.json --gpu b200
status phantom-gpu validate --benchmark-data rows.json --split model
status phantom-gpu validate --benchmark-data rows.json --plot -
status phantom-gpu validate --benchmark-data rows.json --plot out.svg --out out.svg
status phantom-gpu validate rows.json
