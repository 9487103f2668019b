# What came whole is not asked for again within some hours, unless that is wanted.
export PHANTOM_GPU_HUB_RETRIES=0 XDG_CACHE_HOME=$PWD/cache GOOGLE_API_KEY=k3y
update() { # RULE [OPTION]...
    rule=$1
    shift
    hub_server --log "$CASES/live" "pageToken=b2 file=gcp2.json" "Action= file=spot2.xml" "$rule" -- phantom-gpu prices update --today 2026-11-21 "$@" 2>log
    echo "exit $?, $(grep -c GET log) questions"
    grep -v '^hub:' log
}
update "/gcp file=gcp.json" --cloud gcp
update "/gcp close" --cloud gcp
update "/gcp close" --cloud gcp --region us-central1
update "/gcp close" --cloud gcp --output json
update "/gcp close" --cloud gcp --refresh
# Of one region only that one.
update "/azure file=second.json" --cloud azure --region eastus
update "/azure close" --cloud azure --region eastus
update "/azure close" --cloud azure --region eastus,westeurope
update "/azure close" --cloud azure
# Without keys there are no spot prices, which is no reason to ask again; that there are keys now is one.
update "/aws file=aws.csv" --cloud aws
update "/aws close" --cloud aws
export AWS_ACCESS_KEY_ID=id AWS_SECRET_ACCESS_KEY=s3cret
update "/aws file=aws.csv" --cloud aws
update "/aws close" --cloud aws
update "/aws close" --cloud aws --region eu-west-1
true
