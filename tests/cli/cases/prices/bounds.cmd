# Each bound narrows what holds; the last one names what fails. Carbon's order is not cost's.
count() { phantom-gpu recommend-gpu resnet50 --target-throughput 3000 --gpus t4,l4,l40s,a100,h100 --clouds aws,gcp --today 2026-09-01 --json "$@" | grep -c '"fails": \[\]'; }
all=$(count)
[ "$(count --max-latency-ms 0.5)" -lt "$all" ] && echo quicker
[ "$(count --max-gpus 1)" -lt "$all" ] && echo fewer
[ "$(count --carbon-cap 60)" -lt "$all" ] && echo cleaner
phantom-gpu recommend-gpu resnet50 --target-throughput 3000 --gpus l4 --max-latency-ms 0.1 --max-gpus 1 --carbon-cap 1 --json | grep -o '"fails": \[.*\]' | head -1
grams() { phantom-gpu recommend-gpu resnet50 --target-throughput 100000 --clouds aws,gcp --today 2026-09-01 --json --rank "$1" | grep -o '"carbon_kg_per_month": [0-9.]*' | head -1 | cut -d' ' -f2; }
awk -v a="$(grams carbon)" -v b="$(grams cost)" 'BEGIN { if (a > 0 && a + 0 < b + 0) print "ranked" }'
phantom-gpu load-model resnet50 --gpu l4 --include-cost --carbon --carbon-intensity 100 --today 2026-09-01 | grep -o '100 g a kWh'
