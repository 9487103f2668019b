for command in list-models --help --version 'compare-models resnet50' '--generate man'; do
    phantom-gpu $command >/dev/full; echo "exit $?"
done
phantom-gpu list-models >&-; echo "exit $?"
