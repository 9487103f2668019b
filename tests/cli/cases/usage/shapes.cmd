for shape in x x= =1x2 x=1x x=x1 x=1x0 x=1x-2 x=1xa x=1x3x99999999999 x=1x1x1x1x1x1x1x1x1; do
    phantom-gpu load-model resnet50 --input-shape "$shape"; echo "exit $?"
done
