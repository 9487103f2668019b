# Prices of three clouds, in the places of the built-in ones; what is fetched later takes their place in turn.
export PHANTOM_GPU_HUB_RETRIES=0 GOOGLE_API_KEY=k3y XDG_CACHE_HOME=$PWD/cache
# Azure's sizes are asked for some at a time; every question gets the same answer, which does no harm.
azure="/azure file=azure2.json"
hub_server --log "$CASES/live" "page=2 file=azure2.json" "/azure file=azure.json x1" "$azure" "pageToken=b2 file=gcp2.json" \
    "/gcp file=gcp.json" "/aws file=aws.csv" -- phantom-gpu prices update --today 2026-11-20
phantom-gpu prices list --output csv --today 2026-11-21 | grep 2026-11-20,
phantom-gpu prices list --today 2026-11-21 --cloud azure --region eastus --gpu t4 --top 1
phantom-gpu prices list --today 2026-11-21 --cloud aws --region us-east-1 --gpu t4 --spot --top 1 --output json
hub_server "$CASES/live" "/azure file=second.json" -- phantom-gpu prices update --cloud azure --refresh --today 2026-11-22
phantom-gpu prices list --output csv --cloud azure --today 2026-11-22 | grep 2026-11-2 | grep T4
ls -A cache/phantom-gpu
hub_server "$CASES/live" "/azure close" "/aws file=aws.csv" -- \
    phantom-gpu prices update --cloud azure,aws --refresh --today 2026-11-22 --output json
echo "exit $?"
