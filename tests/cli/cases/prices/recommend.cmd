phantom-gpu recommend-gpu --model resnet50 --budget 2000 --target-throughput 2500 --gpus l4,l40s,a100,t4 --clouds aws,gcp --today 2026-09-01
phantom-gpu recommend-gpu resnet50 --budget 24 --budget-period hour --target-throughput 2500 --gpus l4 --by region --regions us-east4,us-central1 --carbon --today 2026-09-01 --warn-at 1,50
phantom-gpu recommend-gpu resnet50 --budget 2000 --target-throughput 2500 --gpus l4 --json --today 2026-09-01 | grep -c '"fails": \[\]'
phantom-gpu recommend-gpu resnet50 --budget 2000 --target-throughput 2500 --gpus l4 --output csv --today 2026-09-01 | head -1
