phantom-gpu list-models --out nosuch/file; echo "exit $?"
phantom-gpu list-models --out .; echo "exit $?"
phantom-gpu list-models --out /dev/full; echo "exit $?"
phantom-gpu load-model resnet50 --trace nosuch/file --out result; echo "exit $?"
ls
