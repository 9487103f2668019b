for options in '--gpu-count 8 --data-parallel 3' '--gpu-count 8 --tensor-parallel 3' '--tensor-parallel 5' '--expert-parallel 2' \
    '--gpu-count 0' '--gpu-count 4097' '--data-parallel 4096 --tensor-parallel 4096' '--pipeline-parallel 4000' \
    '--micro-batches 2' '--micro-batches 3 --task training --batch-size 8'; do
    phantom-gpu load-model bert-base-uncased --gpu h100 $options
    echo "exit $?"
done
phantom-gpu load-model resnet50 --gpu h100 --tensor-parallel 2
echo "exit $?"
phantom-gpu load-model op:allreduce:bytes=1024 --gpu h100 --tensor-parallel 2
echo "exit $?"
phantom-gpu load-model op:allreduce --gpu h100
echo "exit $?"
