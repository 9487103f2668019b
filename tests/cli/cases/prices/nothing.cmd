phantom-gpu recommend-gpu resnet50 --budget 10 --target-throughput 3000 --gpus l4,t4 --today 2026-09-01
