cat > mine.toml <<'T'
[own]
electricity_usd_per_kwh = 0.30
country = "DEU"
[hardware.rtx4090]
price_usd = 1500
as_of = "2026-11-01"
[[offers]]
cloud = "friend"
gpu = "rtx4090"
on_demand_usd = 0.25
as_of = "2026-11-20"
T
phantom-gpu prices list --prices mine.toml --cloud friend --today 2026-11-21
phantom-gpu compare-models resnet50 --gpus rtx4090 --batch-sizes 64 --include-cost --prices mine.toml --today 2026-11-21 --json | grep -E '"(price_|cost_|carbon)' | sort -u
phantom-gpu load-model resnet50 --gpu rtx4090 --own --carbon --prices mine.toml --today 2026-11-21 | grep -E 'Cost|Carbon|Energy'
# beside the working directory's own file without being asked
cp mine.toml prices.toml
phantom-gpu prices --cloud friend --today 2026-11-21 | head -3
mkdir -p config/phantom-gpu && mv prices.toml config/phantom-gpu/
XDG_CONFIG_HOME=$PWD/config phantom-gpu prices --cloud friend --today 2026-11-21 | head -3
XDG_CONFIG_HOME=$PWD/config phantom-gpu list-gpus >/dev/null
