phantom-gpu recommend-gpu resnet50
phantom-gpu recommend-gpu --budget 100
phantom-gpu recommend-gpu resnet50 --budget 0
phantom-gpu recommend-gpu resnet50 --budget nan
phantom-gpu recommend-gpu resnet50 --budget -5
phantom-gpu recommend-gpu resnet50 --budget 100 --clouds asw
phantom-gpu recommend-gpu resnet50 --budget 100 --regions us-eest-1
phantom-gpu recommend-gpu resnet50 --budget 100 --own --spot
phantom-gpu recommend-gpu resnet50 --budget 100 --gpus rtx4009
phantom-gpu recommend-gpu resnet50 --budget 100 --gpus rtx4090
phantom-gpu recommend-gpu resnet50 --budget 100 --currency eur
phantom-gpu compare-models resnet50 --include-cost --today yesterday
phantom-gpu prices shop
phantom-gpu prices --prices none.toml
printf '[[offers]]\ncloud = "x"\n' > bad.toml
phantom-gpu prices --prices bad.toml
true
