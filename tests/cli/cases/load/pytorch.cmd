# What is said of PyTorch files: weights alone, a graph, a checkpoint, harm.
cases=$ROOT/tests/cases/pytorch
for file in state.pth checkpoint.pth tied.pth module.pt; do
    phantom-gpu load-model "$cases/$file" -g a100
done
phantom-gpu load-model "$cases/conv_script.pt" -g a100 --input-shape x=2x3x64x64 | head -7
phantom-gpu load-model "$cases/conv.pt2" -g a100 | head -7
phantom-gpu load-model "$cases/guarded_script.pt" -g a100 | head -7
phantom-gpu load-model "$cases/state.pth" --architecture resnet50 -g a100
echo "exit $?"
printf '\200\002cos\nsystem\n(S"rm -rf /"\ntR.' >evil.pt
phantom-gpu load-model evil.pt -g a100
echo "exit $?"
printf '\200\002cposix\nsystem\nX\001\0\0\0x\205R.' >evil.bin
phantom-gpu load-model evil.bin -g a100
printf '\200\002}.' >empty.pth
phantom-gpu load-model empty.pth -g a100
printf '\200\004\225\377\377' >cut.pth
phantom-gpu load-model cut.pth -g a100
head -c 3000 "$cases/conv_script.pt" >cut.pt
phantom-gpu load-model cut.pt -g a100
echo "exit $?"
