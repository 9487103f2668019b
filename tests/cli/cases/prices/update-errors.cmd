# Each way in which a cloud can fail, and what a person reads. What was there stays as it was.
export PHANTOM_GPU_HUB_RETRIES=1 XDG_CACHE_HOME=$PWD/cache
hub_server "$CASES/live" "/azure file=second.json" -- phantom-gpu prices update --cloud azure --today 2026-11-20
cp cache/phantom-gpu/prices.sqlite before
try() { # RULE CLOUD [OPTION]...
    rule=$1 cloud=$2
    shift 2
    hub_server "$CASES/live" "$rule" "page=2 file=loop.json" "b2 file=gcp-loop.json" -- \
        phantom-gpu prices update --cloud "$cloud" --refresh --today 2026-11-21 "$@"
    echo "$rule: exit $?"
    cmp before cache/phantom-gpu/prices.sqlite
}
try "/azure status=429,retry=120" azure
try "/azure status=503" azure
try "/azure status=404" azure
try "/azure close" azure
try "/azure file=azure.json,cut=100" azure
try "/azure file=azure.json,packed" azure
HF_HUB_DOWNLOAD_TIMEOUT=1 try "/azure hang" azure
try "/azure body=<html>" azure
try "/azure body=[]" azure
try "/azure body={}" azure
for file in loop elsewhere euro negative huge text noregion evil nothing; do try "/azure file=$file.json" azure; done
try "/azure status=302,location=http://localhost:%/azure" azure
try "/azure status=302,location=/azure" azure
try "- close" gcp
try "- close" aws,gcp --region eastus
try "- close" lambda
try "- close" aws --region us-eest-1
export GOOGLE_API_KEY=k3y
try "/gcp status=400" gcp
try "/gcp status=403" gcp
try "/gcp body={}" gcp
for file in loop euro unit; do try "/gcp file=gcp-$file.json" gcp; done
GOOGLE_API_KEY='k&y' try "- close" gcp
try "- close" gcp --api-key none
: >empty
try "- close" gcp --api-key empty
try "/aws body=<html>" aws
for file in nocolumn yuan bad short; do try "/aws file=aws-$file.csv" aws; done
try "/aws file=aws.csv,cut=900" aws
HF_HUB_OFFLINE=1 try "- close" aws
PHANTOM_GPU_AWS_PRICES=aws phantom-gpu prices update --cloud aws
phantom-gpu prices list --api-key empty
phantom-gpu prices list --refresh
phantom-gpu prices update --gpu h100
# A cloud that fails takes no other along; one that passes at the second attempt has not failed.
hub_server "$CASES/live" "/azure close" "/aws status=503 x1" "/aws file=aws.csv" -- \
    phantom-gpu prices update --refresh --today 2026-11-22
echo "exit $?"
phantom-gpu prices list --output csv --today 2026-11-22 | grep -c '2026-11-22,0'
