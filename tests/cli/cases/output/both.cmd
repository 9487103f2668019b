# --out and --trace: both or none, and never the same.
run() {
    phantom-gpu load-model resnet50 --gpu a100 "$@"
    echo "$*: exit $?"
}
echo before >old
run --trace old --out no/such
run --trace old --out /dev/full
phantom-gpu load-model resnet50 --gpu a100 --trace old >/dev/full; echo "exit $?"
cat old
run --trace no/such --out new
run --trace same --out ./same
run --trace -
run --out -
ls
