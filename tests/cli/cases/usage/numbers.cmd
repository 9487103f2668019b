for n in 0 -1 +1 1000000000 99999999999999999999999 abc 1e3 0x10 1.5 ' 1' ''; do
    phantom-gpu load-model resnet50 --batch-size "$n"; echo "exit $?"
done
phantom-gpu load-model resnet50 -b 0; echo "exit $?"
phantom-gpu load-model resnet50 --seq-len 0; echo "exit $?"
phantom-gpu load-model resnet50 --image-size 100000; echo "exit $?"
phantom-gpu load-model resnet50 --top 0; echo "exit $?"
phantom-gpu compare-models resnet50 --batch-sizes 1,x; echo "exit $?"
